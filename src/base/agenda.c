/*-------------------------------------------------------------------------
 *
 * agenda.c
 *		What is done when; see agenda.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/agenda.h"

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* first, doubled n times, but no more than last */
static int64_t
doubled(int64_t first, int n, int64_t last)
{
	while (n-- > 0 && first < last)
		first *= 2;
	return first < last ? first : last;
}

int64_t
ln_task_at(const LnTask *t, unsigned have)
{
	if ((t->needs & ~have) != 0 || t->due == LN_NEVER)
		return LN_NEVER;
	return later(t->due, t->not_before);
}

bool
ln_task_ready(const LnTask *t, unsigned have, int64_t now)
{
	return ln_task_at(t, have) <= now;
}

void
ln_task_by(LnTask *t, int64_t at)
{
	if (at < t->due)
		t->due = at;
}

void
ln_task_begin(LnTask *t)
{
	t->due = LN_NEVER;
}

void
ln_task_end(LnTask *t, LnTaskResult result, int64_t again, int64_t now)
{
	switch (result)
	{
		case LN_TASK_PROGRESS:
			t->failures = t->idle_runs = 0;
			t->not_before = LN_NOW;
			break;
		case LN_TASK_IDLE:
			t->failures = 0;
			t->not_before = LN_NOW;
			if (again > now)
				t->idle_runs = 0;
			else if (++t->idle_runs > LN_IDLE_RUNS)
				t->not_before = now + doubled(LN_IDLE_FIRST,
											  t->idle_runs - LN_IDLE_RUNS - 1,
											  LN_IDLE_LAST);
			break;
		case LN_TASK_FAILED:
			t->not_before = now + doubled(LN_BACKOFF_FIRST, t->failures,
										  LN_BACKOFF_LAST);
			if (t->failures < 1000)
				t->failures++;
			again = LN_NOW;
			break;
	}
	ln_task_by(t, again);
}

void
ln_task_set_back(LnTask *t, int64_t by)
{
	t->due = ln_set_back(t->due, by);
	t->not_before = ln_set_back(t->not_before, by);
}

void
ln_task_forgive(LnTask *t)
{
	t->failures = 0;
	t->not_before = LN_NOW;
}

int64_t
ln_agenda_wake(const LnTask *tasks, int n, unsigned have)
{
	int64_t		wake = LN_NEVER;

	for (int i = 0; i < n; i++)
	{
		int64_t		at = ln_task_at(&tasks[i], have);

		if (!tasks[i].lazy && at < wake)
			wake = at;
	}
	return wake;
}

int64_t
ln_agenda_resume(const LnTask *tasks, int n, unsigned have)
{
	int64_t		resume = LN_NEVER;

	for (int i = 0; i < n; i++)
		if (tasks[i].keeps && (tasks[i].needs & ~have) == 0 &&
			tasks[i].due < resume)
			resume = tasks[i].due;
	return resume;
}

bool
ln_agenda_keeps(const LnTask *tasks, int n, unsigned have)
{
	return ln_agenda_resume(tasks, n, have) != LN_NEVER;
}
