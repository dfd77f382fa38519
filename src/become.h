/*-------------------------------------------------------------------------
 *
 * become.h
 *		Another user's rights for a while: the owner's of our tables, which the
 *		caller need not be able to read, or those of a table with a trigger.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_BECOME_H
#define LN_BECOME_H

#include "miscadmin.h"

typedef struct LnUser
{
	Oid			id;
	int			sec;			/* security context */
} LnUser;

/*
 * Returns who we were, for ln_become_again().  An error ends it, too: the
 * (sub)transaction restores the user.
 */
static inline LnUser
ln_become(Oid user)
{
	LnUser		former;

	GetUserIdAndSecContext(&former.id, &former.sec);
	SetUserIdAndSecContext(user, former.sec | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	return former;
}

static inline void
ln_become_again(LnUser former)
{
	SetUserIdAndSecContext(former.id, former.sec);
}

#endif							/* LN_BECOME_H */
