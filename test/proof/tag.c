/*
 * Delivery tags: nothing that cannot be one of ours is taken for one, and one
 * of ours has its length.  Harnesses for CBMC; see run.sh.
 */
#include "line/line_api.c"

int			nondet_int(void);
int64_t		nondet_i64(void);
uint64_t	nondet_u64(void);
size_t		nondet_size(void);

#define CHECK(condition, what) __CPROVER_assert(condition, what)
#define GIVEN(condition) __CPROVER_assume(condition)

void
tag_read(void)
{
	char		text[LINE_TAG_SIZE];
	size_t		len = nondet_size();
	int64_t		id;
	int			attempt;
	uint64_t	token;

	GIVEN(len < LINE_TAG_SIZE);
	for (int i = 0; i < LINE_TAG_SIZE; i++)
		text[i] = (char) nondet_int();
	if (ln_line_parse_tag(text, len, &id, &attempt, &token))
	{
		CHECK(id > 0 && attempt >= 1 && attempt <= LINE_TAG_MAX_ATTEMPT,
			  "numbers that we give");
		CHECK(len >= 21 && len <= 42, "a length that we give");
	}
	else
	{
		bool		ours = len == 21 && text[0] == 'l' && text[1] == 'n' &&
			text[2] == '1' && text[3] == '-' && text[4] == '7' &&
			text[5] == '-' && text[6] == '1' && text[7] == '-' &&
			text[8] >= '0' && text[8] <= '9';

		for (int i = 9; i < 21; i++)
			ours = ours && ((text[i] >= '0' && text[i] <= '9') ||
							(text[i] >= 'a' && text[i] <= 'v'));
		CHECK(!ours, "one of ours is taken");
	}
}

void
tag_write(void)
{
	char		text[LINE_TAG_SIZE];
	size_t		len = 0;
	int64_t		id = nondet_i64();
	int			attempt = nondet_int();

	GIVEN(id > 0 && attempt >= 1);
	ln_line_tag(text, id, attempt, nondet_u64());
	while (len < LINE_TAG_SIZE && text[len] != '\0')
		len++;
	CHECK(len >= 21 && len <= 42, "a length that is taken for one of ours");
}
