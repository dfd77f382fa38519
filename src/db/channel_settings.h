/*-------------------------------------------------------------------------
 *
 * channel_settings.h
 *		Settings of a channel: the parameters of create_channel() and
 *		alter_channel(), which are columns of table channel.
 *
 * The one list of them; see message_columns.h for how it is used.  What
 * alter_channel() makes of a value that is not NULL:
 *
 * SET		sets it
 * CLEARED	sets it; the third one here makes it NULL
 * BY_HAND	says so itself
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_CHANNEL_SETTINGS_H
#define LN_CHANNEL_SETTINGS_H

/* name, type, value that clears */
#define LN_CHANNEL_SETTINGS(SET, CLEARED, BY_HAND) \
	SET(api_base, text) \
	SET(line_channel_id, text) \
	BY_HAND(region, text) \
	SET(rate_limit, integer) \
	SET(max_in_flight, integer) \
	SET(default_ttl, interval) \
	CLEARED(confirm_within, interval, "0") \
	SET(on_silence, text) \
	SET(on_invalid, text) \
	SET(on_unknown, text) \
	SET(on_server_error, text) \
	CLEARED(max_attempts, integer, 0) \
	SET(backoff_base, interval) \
	SET(backoff_cap, interval) \
	SET(connect_timeout, interval) \
	SET(total_timeout, interval) \
	SET(use_case_required, boolean) \
	CLEARED(proxy, text, "") \
	CLEARED(ca_file, text, "") \
	SET(settle_window, interval) \
	SET(dedup_window, interval) \
	SET(on_duplicate, text) \
	SET(time_zone, text) \
	CLEARED(quiet_hours, text, "") \
	CLEARED(daily_budget, integer, 0) \
	BY_HAND(only_recipients, text[]) \
	SET(catalogue_only, boolean) \
	SET(unknown_content, text)

#endif							/* LN_CHANNEL_SETTINGS_H */
