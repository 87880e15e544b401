/*
 * Children that a guard leaves to itself when it executes itself anew (guard/reload.ts): it is still their parent then, and has to know
 * them, or it would take them for strangers and leave them as zombies.
 */

/** Variable of the environment that holds their pids, with commas between them; the first is the log writer's, or 0. */
export const LEFT_CHILDREN_VARIABLE = 'OOM_BACKSTOP_LEFT_CHILDREN';
