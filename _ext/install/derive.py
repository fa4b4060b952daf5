"""Write what other languages need from solvers.h: solvers/cython_api.pxd and _ext/include/solvers.f90.

    python -P _ext/install/derive.py

The header is the only source; a test compares the files with it. It reads the C that the header is written in: one
declaration a statement, structures with an _INIT macro beside them, no nested types.
"""

import keyword
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADER = ROOT / "_ext" / "include" / "solvers.h"
CYTHON = ROOT / "solvers" / "cython_api.pxd"
FORTRAN = ROOT / "_ext" / "include" / "solvers.f90"

#: C does not tell the address of one number from that of an array: these parameters are one, in functions whose names
#: begin so.
NUMBERS = {
    "omega": "sv_omega_tuner_", "id": "sv_omega_tuner_", "count": "sv_omega_tuner_", "length": "sv_omega_tuner_",
    "norm": "sv_",
}  # fmt: skip

KINDS = {
    "double": "real(c_double)", "float": "real(c_float)", "int": "integer(c_int)", "char": "character(kind=c_char)",
    "int8_t": "integer(c_int8_t)", "uint8_t": "integer(c_int8_t)", "int32_t": "integer(c_int32_t)",
    "uint32_t": "integer(c_int32_t)", "int64_t": "integer(c_int64_t)", "uint64_t": "integer(c_int64_t)",
    "unsigned char": "integer(c_int8_t)", "size_t": "integer(c_size_t)", "ptrdiff_t": "integer(c_ptrdiff_t)",
}  # fmt: skip
BYTES = {
    "real(c_float)": 4,
    "integer(c_int)": 4,
    "character(kind=c_char)": 1,
    "integer(c_int8_t)": 1,
    "integer(c_int32_t)": 4,
}


@dataclass
class Variable:
    """A parameter or a field: `type` without const and stars, `text` as it is written in C."""

    text: str
    type: str
    name: str
    stars: int
    const: bool
    shape: tuple[int, ...] = ()  # of an array that is a field


@dataclass
class Header:
    """What solvers.h declares, in its order."""

    constants: dict[str, str] = field(default_factory=dict)
    enums: list[tuple[str, list[tuple[str, int]]]] = field(default_factory=list)
    types: list[tuple[str, list[Variable] | str | None]] = field(default_factory=list)  # fields, a callback, opaque
    functions: list[tuple[str, str, list[Variable]]] = field(default_factory=list)
    defaults: dict[str, list[str]] = field(default_factory=dict)

    @property
    def kinds(self):
        """Of each type: a structure, an opaque handle or a callback."""
        return {n: "handle" if t is None else "callback" if isinstance(t, str) else "struct" for n, t in self.types}


def variable(text):
    """One declarator: `const double *x`, `double low[4]`, `sv_tuner **tuner`."""
    text = " ".join(text.split())
    match = re.fullmatch(r"(.*?)(\w+)\s*((?:\[\w*\])*)", text)
    base, name, shape = match.groups()
    sizes = re.findall(r"\[(\w*)\]", shape)
    stars = base.count("*") + sizes.count("")
    plain = " ".join(word for word in base.replace("*", " ").split() if word not in ("const", "struct"))
    return Variable(text, plain, name, stars, base.lstrip().startswith("const"), tuple(int(n) for n in sizes if n))


def fields(body):
    """The fields of a structure; `int64_t a, b;` declares two."""
    found = []
    for statement in filter(None, (part.strip() for part in body.split(";"))):
        first, *others = statement.split(",")
        found.append(variable(first))
        base = re.match(r"(?:const )?(?:unsigned )?\w+", first.strip()).group()
        found += [variable(f"{base} {other.strip()}") for other in others]
    return found


def numbered(body):
    """The members of an enum with their numbers."""
    members, value = [], -1
    for entry in filter(None, (part.strip() for part in body.split(","))):
        name, _, given = (word.strip() for word in entry.partition("="))
        value = int(given, 0) if given else value + 1
        members.append((name, value))
    return members


def listed(text):
    """The values of an initialiser, those of arrays as lists."""
    tree, depth, word = [[]], 0, ""
    for letter in text[text.index("{") + 1 : text.rindex("}")] + ",":
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "{":
            tree.append([])
        elif letter == "}":
            inner = tree.pop()
            tree[-1].append([*inner, word.strip()] if word.strip() else inner)
            word = ""
        elif letter == "," and depth == 0:
            tree[-1] += [word.strip()] if word.strip() else []
            word = ""
        else:
            word += letter
    return tree[0]


def read(text):
    """The declarations of the header."""
    header = Header()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL).replace("\\\n", " ")
    for name, value in re.findall(r"^#define (SV_\w+) +(.+)$", text, flags=re.MULTILINE):
        if name.endswith("_INIT"):
            header.defaults[name.removesuffix("_INIT").lower()] = listed(value)
        elif name != "SV_API":
            header.constants[name] = value.strip().strip("()")
    text = re.sub(r'^#.*$|extern "C" \{', " ", text, flags=re.MULTILINE)
    pattern = r"(?P<head>[^;{}]*)(?:\{(?P<body>[^{}]*)\}(?P<tail>[^;{}]*))?;"
    for match in re.finditer(pattern, text):
        head, body = " ".join(match["head"].split()), match["body"]
        tail = (match["tail"] or "").strip()
        if head.startswith(("enum", "typedef enum")):
            header.enums.append((tail or head.split()[-1], numbered(body)))
        elif head.startswith("typedef struct"):
            header.types.append((tail or head.split()[-1], None if body is None else fields(body)))
        elif head.startswith("typedef"):
            header.types.append((re.search(r"\(\*(\w+)\)", head).group(1), head.removeprefix("typedef ")))
        elif head.startswith("SV_API"):
            result, name, given = re.fullmatch(r"SV_API (.*?)(\w+)\((.*)\)", head).groups()
            parameters = [] if given == "void" else [variable(part) for part in given.split(",")]
            header.functions.append((result.strip(), name, parameters))
        elif head:
            raise SystemExit(f"{HEADER}: cannot read: {head}")
    return header


# ---- Cython -----------------------------------------------------------------------------------------


def for_cython(v):
    """A declarator whose name is none of Python's words."""
    text = re.sub(r"\b(struct|enum) ", "", v.text)
    return re.sub(rf"\b{v.name}\b(?=(\[\w*\])*$)", v.name + "_", text) if keyword.iskeyword(v.name) else text


def wrapped(start, parts, end, indent, width=116):
    """`start` + the parts, separated by commas, over as many lines as it takes."""
    lines, line = [], start
    for k, part in enumerate(parts):
        word = part + (end if k == len(parts) - 1 else ",")
        if len(line) + len(word) + 1 > width:
            lines.append(line.rstrip())
            line = indent
        line += word if line.endswith(("(", indent)) else " " + word
    return [*lines, line if parts else start + end]


def cython(header):
    """solvers/cython_api.pxd."""
    lines = [
        "# All of solvers.h: cimport solvers.cython_api as sv. Compile with -I of solvers.get_include(), and link with",
        "# the library of solvers.get_library_dir(). Derived from the header by _ext/install/derive.py: do not edit.",
        "from libc.stddef cimport ptrdiff_t",
        "from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t",
        "",
        'cdef extern from "solvers.h" nogil:',
    ]
    lines += [f"    const {'double' if '.' in value else 'int'} {n}" for n, value in header.constants.items()]
    for name, members in header.enums:
        lines += ["", f"    enum {name}:", *(f"        {member}" for member, _ in members)]
    for name, what in header.types:
        lines.append("")
        if what is None:
            lines += [f"    ctypedef struct {name}:", "        pass"]
        elif isinstance(what, str):
            lines.append(f"    ctypedef {what} noexcept")
        else:
            lines += [f"    ctypedef struct {name}:", *(f"        {for_cython(v)}" for v in what)]
            if name in header.defaults:
                macro = f"{name.upper()}_INIT"
                lines.append(f'    const {name} {macro} "(({name}){macro})"')
    lines.append("")
    for result, name, parameters in header.functions:
        start = f"    {result}{'' if result.endswith('*') else ' '}{name}("
        lines += wrapped(start, [for_cython(v) for v in parameters], ")", " " * 12)
    return "\n".join(lines) + "\n"


# ---- Fortran ----------------------------------------------------------------------------------------

TOP = """\
! solvers.h for Fortran 2018. Compile this file with the program, then `use solvers` there.
!
! Arrays and structures that may be NULL in C are optional here. A structure's fields begin with their defaults.
! A handle is a type(c_ptr). sv_error_text() gives the words of sv_last_error() and sv_status_text(status) those of
! sv_status_string(). Derived from the header by _ext/install/derive.py: do not edit.
module solvers
    use, intrinsic :: iso_c_binding
    implicit none
    public
"""
END = """
contains

    ! The characters before the terminating zero.
    function sv_text(address) result(text)
        type(c_ptr), intent(in) :: address
        character(:), allocatable :: text
        character(kind=c_char), pointer :: letters(:)
        integer :: length, k
        interface
            pure integer(c_size_t) function strlen(text) bind(c)
                import
                type(c_ptr), value, intent(in) :: text
            end function
        end interface
        length = int(strlen(address))
        call c_f_pointer(address, letters, [length])
        allocate (character(length) :: text)
        do k = 1, length
            text(k:k) = letters(k)
        end do
    end function

    function sv_error_text() result(text)
        character(:), allocatable :: text
        text = sv_text(sv_last_error())
    end function

    function sv_status_text(status) result(text)
        integer(c_int), intent(in) :: status
        character(:), allocatable :: text
        text = sv_text(sv_status_string(status))
    end function
end module
"""


def kind_of(header, v):
    """The type of a field."""
    if header.kinds.get(v.type) == "callback":
        return "type(c_funptr)"
    return "type(c_ptr)" if v.stars else KINDS[v.type]


def layout(header, parts):
    """The size of a structure on 64-bit machines."""
    size, widest = 0, 1
    for v in parts:
        width = BYTES.get(kind_of(header, v), 8)
        size = -(-size // width) * width + width * math.prod(v.shape)
        widest = max(widest, width)
    return -(-size // widest) * widest


def literal(kind, value):
    """A default as Fortran writes it."""
    if value == "NULL":
        return "c_null_funptr" if kind == "type(c_funptr)" else "c_null_ptr"
    if kind == "real(c_double)" and not value.startswith("SV_"):
        return (value if re.search(r"[.e]", value) else value + ".0") + "_c_double"
    return value


def component(header, v, default):
    """A field of a derived type; C's last index is Fortran's first."""
    kind = kind_of(header, v)
    shape = ", ".join(str(n) for n in reversed(v.shape))
    start = f"{kind} :: {v.name}" + (f"({shape})" if shape else "")
    if default is None:
        return start
    while isinstance(default, list) and len(set(map(str, default))) == 1:  # one value for all
        default = default[0]
    if isinstance(default, list):
        raise SystemExit(f"{HEADER}: {v.name}: fields of an array begin with one value")
    return f"{start} = {literal(kind, default)}"


def dummy(header, function, v, name):
    """The declaration of a parameter."""
    kind, intent = header.kinds.get(v.type), "intent(in)" if v.const else "intent(inout)"
    if kind == "callback":
        return f"type(c_funptr), value :: {name}"
    if v.stars == 2 and kind == "handle":
        return f"type(c_ptr), intent(out) :: {name}"
    if v.stars and (v.type == "void" or kind == "handle" or v.stars > 1):
        return f"type(c_ptr), value :: {name}"
    if v.stars and kind == "struct":
        return f"type({v.type}), {intent}, optional :: {name}"
    if not v.stars and not v.shape:
        return f"{KINDS[v.type]}, value :: {name}"
    one = function.startswith(NUMBERS.get(v.name, "-"))
    return f"{KINDS[v.type]}, {intent}, optional :: {name}{'' if one else '(*)'}"


def interface(header, result, name, parameters):
    """The interface of a function."""
    names = []
    for v in parameters:  # Fortran takes A and a for the same
        names.append(v.name if v.name.lower() not in (n.lower() for n in names) else v.name + "_")
    kind = "subroutine" if result == "void" else "function"
    end = ') bind(c, name="' + name + '")'
    lines = wrapped(f"        {kind} {name}(", names, end, " " * 12) if names else [f"        {kind} {name}({end}"]
    if kind == "function":
        lines[-1:] = (
            [lines[-1] + " result(ended)"] if len(lines[-1]) < 110 else [lines[-1] + " &", " " * 12 + "result(ended)"]
        )
    lines = [line + (" &" if k < len(lines) - 1 and not line.endswith("&") else "") for k, line in enumerate(lines)]
    lines.append("            import")
    lines += [f"            {dummy(header, name, v, n)}" for v, n in zip(parameters, names, strict=True)]
    if kind == "function":
        lines.append(f"            {'type(c_ptr)' if '*' in result else KINDS[result]} :: ended")
    return [*lines, f"        end {kind}"]


def fortran(header):
    """_ext/include/solvers.f90."""
    lines = [TOP.rstrip()]
    lines.append("")
    functions = {name for _, name, _ in header.functions}
    for name, value in header.constants.items():
        if name.lower() in functions:  # the same name to Fortran
            continue
        kind = "real(c_double)" if "." in value else "integer(c_int)"
        lines.append(f"    {kind}, parameter :: {name} = {literal(kind, value)}")
    for _, members in header.enums:
        lines += ["", *(f"    integer(c_int), parameter :: {name} = {value}" for name, value in members)]
    for name, parts in header.types:
        if isinstance(parts, list):
            values = header.defaults.get(name, [None] * len(parts))
            if len(values) != len(parts):
                raise SystemExit(f"{HEADER}: {name.upper()}_INIT has {len(values)} values for {len(parts)} fields")
            if parts[0].name == "struct_size" and name in header.defaults:
                values[0] = str(layout(header, parts))
            lines += ["", f"    type, bind(c) :: {name}"]
            lines += [f"        {component(header, v, value)}" for v, value in zip(parts, values, strict=True)]
            lines.append("    end type")
    lines += ["", "    interface"]
    for entry in header.functions:
        lines += [*interface(header, *entry), ""]
    lines[-1] = "    end interface"
    return "\n".join(lines) + "\n" + END


def files():
    """What the two files should hold."""
    header = read(HEADER.read_text())
    return {CYTHON: cython(header), FORTRAN: fortran(header)}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
