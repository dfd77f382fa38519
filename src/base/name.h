/*-------------------------------------------------------------------------
 *
 * name.h
 *		What callers send, in our messages.  Pure.
 *
 * A telephone number, a person's name, a hash or a secret ends up in the wrong
 * argument easily, and what an error quotes goes into logs of the server, of
 * the application, and of those who collect its errors.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_NAME_H
#define LN_NAME_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The text, if it looks like the name of a channel, a setting, a value of one:
 * a few letters, few digits.  Else "...".
 */
extern const char *ln_shown(const char *text);

/*
 * Has it so many digits, in whatever width (UTF-8), that it may be a number?
 * The text of a datum ends without '\0', hence the length, in bytes.
 */
extern bool ln_has_number(const char *text, size_t len);

/* If it has, stars in place of its digits. */
extern void ln_star_number(char *text);

#endif							/* LN_NAME_H */
