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
 * Ask for n counts (all down to unit are filled in). Returns how many could be
 * asked for: others lack a token.
 */
extern int	ln_line_statistics_ask(LnChannel **channels, int nchannels,
								   const LnStatistic *counts, int n,
								   HttpClient *http);

/* Questions without answer. */
extern int	ln_line_statistics_pending(void);

/* An answer with LN_TAG_STATISTICS. */
extern void ln_line_statistics_result(const HttpResult *res);

/* The answers so far; they stay until forgotten. */
extern int	ln_line_statistics_answers(const LnStatistic **counts);
extern void ln_line_statistics_forget(void);

#endif							/* LN_LINE_STATISTICS_H */
