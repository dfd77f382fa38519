/*-------------------------------------------------------------------------
 *
 * policy.h
 *		What one message wants otherwise than its channel: column policy of
 *		outbox, a JSON object.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_POLICY_H
#define LN_POLICY_H

#include "utils/jsonb.h"

/* LN_POLICY_CHANNEL in a field: as the channel has it */
#define LN_POLICY_CHANNEL	(-1)

typedef struct LnPolicy
{
	int			max_attempts;	/* INT_MAX = no limit */
	int			on_unknown;		/* LineDisposition */
	int			on_server_error;	/* LineDisposition */
	int			on_invalid_error;	/* 0 park, 1 error; counts at INSERT */
	int64		backoff_base_ms;
	int64		backoff_cap_ms;
	int64		settle_window_us;
	int64		dedup_window_us;	/* counts at INSERT */
} LnPolicy;

/* Everything as the channel has it. */
extern void ln_policy_init(LnPolicy *p);

/*
 * Read a policy.  False when it is none: *member is the name of the member at
 * fault ("" = the whole), *fault says what it must be.  Raises nothing.
 */
extern bool ln_policy_read(Jsonb *json, LnPolicy *p, const char **member,
						   const char **fault);

/* A field, or what the channel has. */
static inline int64
ln_policy_or(int64 wish, int64 of_channel)
{
	return wish == LN_POLICY_CHANNEL ? of_channel : wish;
}

#endif							/* LN_POLICY_H */
