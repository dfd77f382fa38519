/*-------------------------------------------------------------------------
 *
 * credential_check.h
 *		Does LINE take the credential of a paused channel again?
 *
 * A channel is paused when LINE answers 401 to it.  Then, now and then, a
 * harmless question is asked with the same credential, through the worker's HTTP
 * client; the first answer 200 says that the channel may go on.  Needs no
 * transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_RECHECK_H
#define LN_RECHECK_H

#include "http/http.h"
#include "worker/channel.h"

/* The channel was paused: ask after a while, each time a longer one. */
extern void ln_recheck_schedule(LnChannel *c);

/* LINE took a message: what was asked before is forgotten. */
extern void ln_recheck_proved(LnChannel *c);

/* Ask for the paused channels whose time has come. */
extern void ln_recheck_step(LnChannel **channels, int n, int64 home, HttpClient *http);

/* An answer with LN_TAG_RECHECK. */
extern void ln_recheck_result(LnChannel **channels, int n, const HttpResult *res);

/* May it be resumed?  Says so once. */
extern bool ln_recheck_passed(LnChannel *c);

/* When to call ln_recheck_step() again; DT_NOEND = an answer comes first. */
extern TimestampTz ln_recheck_deadline(const LnChannel *c, int64 home);

#endif							/* LN_RECHECK_H */
