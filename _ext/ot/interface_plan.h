/* The handle on a plan: a solved task, whose entries are made when they are asked for. */
#ifndef SOLVERS_OT_INTERFACE_PLAN_H
#define SOLVERS_OT_INTERFACE_PLAN_H

#include "interface_problem.h"

/* Room for a handle, so that nothing fails any more once it is made; NULL where there is no memory. */
sv_ot_plan *sv_ot_plan_room(void);

/* The handle on the plan of a task at its (u, v), which it owns from then on. */
sv_ot_plan *sv_ot_plan_of(sv_ot_plan *room, struct ot_task *task);

#endif
