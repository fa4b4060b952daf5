/* Tsallis-INF as the other learners build on it; see tuner_tsallis.c. */
#ifndef SOLVERS_LINALG_TUNER_TSALLIS_H
#define SOLVERS_LINALG_TUNER_TSALLIS_H

#include "tuner.h"

enum sv_tsallis_form { SV_TSALLIS_PLAIN, SV_TSALLIS_HALF, SV_TSALLIS_DOUBLY_ROBUST, SV_TSALLIS_SHIFTED };

/* Places of the settings. */
enum { TSALLIS_FORM, TSALLIS_DISCOUNT, TSALLIS_WINDOW, TSALLIS_CHANGE, TSALLIS_SETTINGS };

#endif
