/*-------------------------------------------------------------------------
 *
 * phone_sample.c
 *		phone.c with the tables under test, and a door to their insides.
 *
 * Compiled with -DLN_PHONE_TABLES="..." for the conformance test, which needs
 * valid numbers of every country: a random walk through an automaton gives
 * them without knowing any pattern.
 *
 *-------------------------------------------------------------------------
 */
#include "../../src/phone/phone.c"

#include "phone_sample.h"

int
ln_sample_codes(void)
{
	return LN_PHONE_N_CODES;
}

int
ln_sample_code(int index)
{
	return phone_codes[index].code;
}

/* can a valid number still be reached from this node? */
static signed char live[LENGTH_OF(phone_nodes)];

static int
is_live(unsigned node)
{
	int			d;

	if (live[node] == 0)
	{
		live[node] = -1;
		if (OUT_TYPE(phone_nodes[node].out) != LN_PHONE_UNKNOWN)
			live[node] = 1;
		for (d = 0; d < 10 && node != 0; d++)
			if (phone_nodes[node].next[d] &&
				is_live(phone_nodes[node].next[d]))
				live[node] = 1;
	}
	return live[node] > 0;
}

int
ln_sample_national(int index, uint32_t (*random) (void), char *out)
{
	unsigned	node = phone_codes[index].root;
	int			n = 0;

	for (;;)
	{
		unsigned	choice[10];
		char		digit[10];
		int			k = 0;
		int			d;

		for (d = 0; d < 10; d++)
			if (is_live(phone_nodes[node].next[d]))
			{
				choice[k] = phone_nodes[node].next[d];
				digit[k++] = (char) ('0' + d);
			}
		if (OUT_TYPE(phone_nodes[node].out) != LN_PHONE_UNKNOWN &&
			(k == 0 || random() % 4 == 0))
			break;
		if (k == 0)
			break;
		d = (int) (random() % (unsigned) k);
		out[n++] = digit[d];
		node = choice[d];
	}
	out[n] = '\0';
	return n;
}
