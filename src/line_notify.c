/*-------------------------------------------------------------------------
 *
 * line_notify.c
 *		Module magic and _PG_init.
 *
 * Loaded by shared_preload_libraries the library delivers; loaded later by the
 * first call of one of its functions it only offers these, and messages wait
 * in the outbox.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "compat.h"
#include "guc.h"
#include "server/hooks.h"
#include "server/identity.h"
#include "server/launcher.h"
#include "server/shmem.h"

PG_MODULE_MAGIC_EXT(.name = "line_notify",.version = "1.0");

void		_PG_init(void);

void
_PG_init(void)
{
	ln_guc_define();

	if (!process_shared_preload_libraries_in_progress)
		return;

	/* pg_upgrade runs the old and the new server: neither must send */
	if (IsBinaryUpgrade)
		return;

	ln_identity_note_start();
	ln_shmem_install_hooks();
	ln_hooks_install();
	ln_launcher_register();
}
