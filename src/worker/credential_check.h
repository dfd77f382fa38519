/*-------------------------------------------------------------------------
 *
 * credential_check.h
 *		Does LINE take the credential of a paused channel again?
 *
 * A channel is paused when LINE answers 401 to it.  Then, now and then, a
 * harmless question is asked with the same credential, through the worker's
 * HTTP client; the first answer 200 says that the channel may go on.  Needs no
 * transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_CREDENTIAL_CHECK_H
#define LN_CREDENTIAL_CHECK_H

#include "http/http.h"
#include "worker/channel.h"

/* The channel was paused: ask after a while, each time a longer one. */
extern void ln_credential_check_schedule(LnChannel *c);

/* LINE took a message: what was asked before is forgotten. */
extern void ln_credential_check_proved(LnChannel *c);

/* Ask for the paused channels whose time has come. */
extern void ln_credential_check_step(LnChannel **channels, int n, int64 home,
									 TimestampTz now, HttpClient *http);

/*
 * When to call ln_credential_check_step() again; DT_NOEND = an answer comes
 * first.
 */
extern TimestampTz ln_credential_check_due(LnChannel *c, int64 home,
										   TimestampTz now);

#endif							/* LN_CREDENTIAL_CHECK_H */
