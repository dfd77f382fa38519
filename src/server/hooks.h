/*-------------------------------------------------------------------------
 *
 * hooks.h
 *		Commands of others that concern our workers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_HOOKS_H
#define LN_HOOKS_H

/* Only with shared_preload_libraries. */
extern void ln_hooks_install(void);

#endif							/* LN_HOOKS_H */
