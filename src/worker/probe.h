/*-------------------------------------------------------------------------
 *
 * probe.h
 *		Before a message probes whether LINE is back, a question that costs
 *		nothing.
 *
 * After an outage the circuit breaker lets single messages through.  In an
 * outage of time-outs or 5xx each of them may end as unknown; so a GET goes
 * first, and only when that is answered, a message.  Needs no transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_PROBE_H
#define LN_PROBE_H

#include "http/http.h"
#include "worker/channel.h"

/*
 * May a message of this channel go, as far as this is concerned?  Always,
 * unless its breaker is half-open; then the question is noted to be asked
 * first.
 */
extern bool ln_probe_clear(LnChannel *c);

/* Is there something to ask now? */
extern bool ln_probe_wanted(const LnChannel *c);

/* Ask what was noted; no good answer is one more failure. */
extern void ln_probe_step(LnChannel **channels, int n, TimestampTz now,
						  HttpClient *http);

#endif							/* LN_PROBE_H */
