/*-------------------------------------------------------------------------
 *
 * compat.h
 *		Names of newer servers, polyfilled for older ones.
 *
 * The only file that may test PG_VERSION_NUM.  Everything else is written for
 * the newest supported server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_COMPAT_H
#define LN_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "line_notify needs PostgreSQL 15 or newer"
#endif

/* PG_MODULE_MAGIC_EXT came with 18: it shows name and version in pg_get_loaded_modules() */
#ifndef PG_MODULE_MAGIC_EXT
#define PG_MODULE_MAGIC_EXT(...) PG_MODULE_MAGIC
#endif

#endif							/* LN_COMPAT_H */
