/*-------------------------------------------------------------------------
 *
 * format_funcs.h
 *		The formatting functions of format.c, for callers in C.  They may
 *		answer NULL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_FORMAT_FUNCS_H
#define LN_FORMAT_FUNCS_H

#include "fmgr.h"

extern PGDLLEXPORT Datum line_notify_format_date(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum line_notify_format_time(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum line_notify_format_datetime(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum line_notify_format_number(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum line_notify_format_money(PG_FUNCTION_ARGS);

#endif							/* LN_FORMAT_FUNCS_H */
