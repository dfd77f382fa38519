/*-------------------------------------------------------------------------
 *
 * line_notify.c
 *		Module magic and _PG_init.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"

#define LN_VERSION "1.0"

PG_MODULE_MAGIC_EXT(.name = "line_notify", .version = LN_VERSION);

void		_PG_init(void);

void
_PG_init(void)
{
}
