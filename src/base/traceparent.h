/*-------------------------------------------------------------------------
 *
 * traceparent.h
 *		The header "traceparent" of the W3C's Trace Context: is it one?  Pure.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TRACEPARENT_H
#define LN_TRACEPARENT_H

#include <stddef.h>

/*
 * Longest one that is kept, in bytes: version 00 has 55, and later versions
 * may append to that.
 */
#define LN_TRACEPARENT_MAX	255

typedef enum LnTraceparent
{
	LN_TRACEPARENT_VALID,
	LN_TRACEPARENT_NONE,		/* empty, or an id of zeros: what a tracer
								 * that is off says */
	LN_TRACEPARENT_MALFORMED
} LnTraceparent;

/* What these bytes are; there need be no zero after them. */
extern LnTraceparent ln_traceparent_read(const char *text, size_t len);

#endif							/* LN_TRACEPARENT_H */
