/*-------------------------------------------------------------------------
 *
 * line_statistics.h
 *		LINE's own figures: what was delivered on a day, how the messages of an
 *		aggregation unit were received, how many units are in use.
 *
 * Asked through the worker's HTTP client, a few questions at a time; answers
 * wait here until the worker records them.  Needs no transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_LINE_STATISTICS_H
#define LN_LINE_STATISTICS_H

#include "http/http.h"
#include "worker/channel.h"

/*
 * Ask for n statistics (all down to unit are filled in).  Returns how many
 * could be asked for: others lack a token, which is wanted from here on.
 */
extern int	ln_line_statistics_ask(LnChannel **channels, int nchannels,
								   const LnStatistic *wanted, int n,
								   TimestampTz now, HttpClient *http);

/* Questions without answer. */
extern int	ln_line_statistics_pending(void);

/* The answers so far; they stay until forgotten. */
extern int	ln_line_statistics_answers(const LnStatistic **counts);
extern void ln_line_statistics_forget(void);

#endif							/* LN_LINE_STATISTICS_H */
