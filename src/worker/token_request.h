/*-------------------------------------------------------------------------
 *
 * token_request.h
 *		Gets the access tokens that are wanted: reads files, asks LINE.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TOKEN_REQUEST_H
#define LN_TOKEN_REQUEST_H

#include "http/http.h"
#include "worker/channel.h"

/* Get what is due; needs no transaction. */
extern void ln_token_request_step(LnChannel **channels, int n, TimestampTz now,
								  HttpClient *http);

#endif							/* LN_TOKEN_REQUEST_H */
