/*-------------------------------------------------------------------------
 *
 * trace.h
 *		What the delivery of messages did, line by line, for the checker that
 *		holds it against the model: test/model/replay.py knows the events,
 *		test/model/MAPPING.md the action of the model that each of them is.
 *
 * Off (line_notify.trace_file is empty) it costs one branch.  Lines hold ids
 * and tokens, nothing of a content or a person.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TRACE_H
#define LN_TRACE_H

#include "access/xlogdefs.h"

#include "guc.h"
#include "line/line_api.h"

#define ln_trace_on()	(unlikely(ln_guc_trace_file[0] != '\0'))

/*
 * An event, printf-like: its name, and what belongs to it.  Within a
 * transaction it is part of that.  It is written with the next one that is,
 * or before the transaction commits.  Raises nothing: what cannot be written
 * ends the trace, with a WARNING.
 */
#define ln_trace(...) \
	do { \
		if (ln_trace_on()) \
			ln_trace_add(false, __VA_ARGS__); \
	} while (0)

/* The same for what is about to be done: it is in the file before. */
#define ln_trace_now(...) \
	do { \
		if (ln_trace_on()) \
			ln_trace_add(true, __VA_ARGS__); \
	} while (0)

/* This process claims under that name from now on. */
extern void ln_trace_start(uint64 claimer);

extern void ln_trace_add(bool now, const char *event, const char *fmt,...)
			pg_attribute_printf(3, 4);

/* How a decision is called in the lines. */
extern const char *ln_trace_next(LineNext next);

/* WAL is on disk up to here. */
extern XLogRecPtr ln_trace_flushed(void);

#endif							/* LN_TRACE_H */
