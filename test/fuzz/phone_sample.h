/*-------------------------------------------------------------------------
 *
 * phone_sample.h
 *		Random valid numbers out of the tables under test.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_PHONE_SAMPLE_H
#define LN_PHONE_SAMPLE_H

#include <stdint.h>

/* how many calling codes there are, and which one has this index */
extern int	ln_sample_codes(void);
extern int	ln_sample_code(int index);

/* a valid national number of this calling code; returns its length */
extern int	ln_sample_national(int index, uint32_t (*random) (void),
							   char *out);

#endif							/* LN_PHONE_SAMPLE_H */
