/* A grid's kernels of the level in use. */
#include "grid.h"

SV_DISPATCH(struct sv_operand_kernels, natural_table, grid_natural_kernels_f64)
SV_DISPATCH(struct sv_operand_kernels, redblack_table, grid_redblack_kernels_f64)
SV_DISPATCH(struct sv_grid_slanted, slanted_table, grid_slanted_f64)
SV_DISPATCH(struct sv_grid_layout, layout_table, grid_layout_f64)
SV_DISPATCH(struct sv_grid_layout, single_layout_table, grid_layout_f32)

const struct sv_operand_kernels *sv_grid_kernels(enum sv_grid_ordering ordering)
{
    return ordering == SV_GRID_NATURAL ? natural_table() : redblack_table();
}

const struct sv_grid_slanted *sv_grid_slanted(void) { return slanted_table(); }

const struct sv_grid_layout *sv_grid_layout(int single) { return single ? single_layout_table() : layout_table(); }
