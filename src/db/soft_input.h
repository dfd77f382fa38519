/*-------------------------------------------------------------------------
 *
 * soft_input.h
 *		Input functions that answer instead of raising, for values that come
 *		from data.  (16 has soft errors, 15 has not.)
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SOFT_INPUT_H
#define LN_SOFT_INPUT_H

#include "datatype/timestamp.h"

/* A whole number, with spaces around it. */
extern bool ln_soft_integer(const char *text, int *result);

/*
 * An interval, as type interval reads it; months count 30 days.  Finite, in
 * microseconds.
 */
extern bool ln_soft_interval(const char *text, int64 *result);

/*
 * A moment, as type timestamptz reads it in this session; also infinite ones.
 */
extern bool ln_soft_timestamptz(const char *text, TimestampTz *result);

#endif							/* LN_SOFT_INPUT_H */
