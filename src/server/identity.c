/*-------------------------------------------------------------------------
 *
 * identity.c
 *		Is this server the one that was armed, or a copy of it?
 *
 * A copy has everything that the tables can say of who we are: the system
 * identifier, the oid of the database, even the name of the node when that
 * stands in a configuration file within the data directory.  Three things tell
 * it from the original:
 *
 * - A restored server has been recovered.  When the postmaster loads us the
 *   traces are still there: a backup label or recovery.signal.  Together with
 *   standby.signal they belong to a standby, which was made by a backup too
 *   and may be promoted one day.  Where the library was not preloaded at that
 *   start, the timeline has changed, and the settings of the recovery may
 *   still be there.
 *
 * - A standby that is started without its standby.signal was not promoted: it
 *   goes on on the timeline of its primary, which may go on, too.  pg_control
 *   still says what it was.
 *
 * - A running twin is found by its life: whoever sends holds a name in the
 *   abstract socket namespace of the host, made of system identifier and node.
 *   No file is left behind by a crash, none is swept away from /tmp, and the
 *   kernel tells whose it is, so that other users of the host cannot stand in
 *   our way.  The launcher holds it for all workers, which come and go, from
 *   the first one that would send until it ends.  Who finds it taken disarms
 *   itself for good: else the copy would step in when the original restarts.
 *
 * Devices, inodes, host and boot ids are not looked at.  They change with
 * every reboot, re-attached volume and re-created container.
 *
 * What this cannot see: a copy of the files, made while the original was
 * stopped or by a snapshot, and started where the original does not run (not
 * on this host, or not now, or in another network namespace) under its name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "server/identity.h"
#include "server/shmem.h"

/*
 * Between bind() and listen() of another server nobody can ask for its owner:
 * look again so often, a hundredth of a second apart.
 */
#define BIND_LOOKS		50
#define OTHER_LOOKS	10

/* Written in the postmaster, inherited by all. */
static bool start_known = false;
static bool start_of_standby = false;
static bool start_of_copy = false;
static bool start_cut_loose = false;	/* a standby before, not promoted */

/* The name we hold; -1 = none. */
static int	place_fd = -1;

static LnPlace take_place(void);

static bool
exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static bool
was_standby(void)
{
	bool		crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	bool		was = crc_ok &&
	(control->state == DB_SHUTDOWNED_IN_RECOVERY ||
	 control->state == DB_IN_ARCHIVE_RECOVERY);

	pfree(control);
	return was;
}

void
ln_identity_note_start(void)
{
	start_known = true;
	start_of_standby = exists("standby.signal");
	start_of_copy = !start_of_standby &&
		(exists("backup_label") || exists("recovery.signal"));
	start_cut_loose = !start_of_standby && !start_of_copy && was_standby();
}

static bool
is_set(const char *setting)
{
	const char *value = GetConfigOption(setting, true, false);

	return value != NULL && value[0] != '\0';
}

const char *
ln_identity_fault(TimestampTz armed_at, uint32 timeline)
{
	const char *fault = NULL;

	/* arm() in this life of the server has said the last word */
	if (start_known && armed_at < PgStartTime)
	{
		if (start_of_copy)
			return "restored";
		if (start_cut_loose &&
			(timeline == 0 || timeline == GetWALInsertionTimeLine()))
			return "cut loose";
		if (!start_of_standby && timeline != 0 &&
			timeline != GetWALInsertionTimeLine() &&
			!is_set("primary_conninfo") &&
			(is_set("restore_command") || is_set("recovery_target") ||
			 is_set("recovery_target_lsn") || is_set("recovery_target_name") ||
			 is_set("recovery_target_time") || is_set("recovery_target_xid")))
			return "restored";
	}
	if (ln_shared == NULL)
		return NULL;
	LWLockAcquire(ln_shared->lock, LW_SHARED);
	if (ln_shared->place == LN_PLACE_TWIN && armed_at < ln_shared->twin_at &&
		strncmp(ln_shared->place_node, ln_guc_node(), LN_PLACE_NODE - 1) == 0)
		fault = "twin";
	LWLockRelease(ln_shared->lock);
	return fault;
}

/*
 * The promotion writes the history of its timeline before it lets anybody
 * write, and the file stays.
 */
TimestampTz
ln_identity_timeline_began(void)
{
	char		path[MAXPGPATH];
	struct stat st;

	if (RecoveryInProgress())
		return DT_NOBEGIN;
	TLHistoryFilePath(path, GetWALInsertionTimeLine());
	if (stat(path, &st) != 0)
		return DT_NOBEGIN;
	return time_t_to_timestamptz(st.st_mtim.tv_sec) +
		st.st_mtim.tv_nsec / 1000;
}

bool
ln_identity_has_place(void)
{
	bool		ours;

	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	ours = ln_shared->place == LN_PLACE_TAKEN &&
		strncmp(ln_shared->place_node, ln_guc_node(), LN_PLACE_NODE - 1) == 0;
	if (!ours)
		ln_shared->place_wanted = true;
	LWLockRelease(ln_shared->lock);
	if (ours)
		return true;
	if (ln_shared->nslots > 0)
	{
		ln_shmem_wake_launcher();
		return false;
	}
	/* a drainer has no launcher: it takes the place for its own short life */
	ln_identity_step();
	return ln_shared->place == LN_PLACE_TAKEN;
}

int
ln_identity_socket(void)
{
	return place_fd;
}

void
ln_identity_begin(void)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	ln_shared->place_wanted = ln_shared->place == LN_PLACE_TAKEN;
	ln_shared->place = LN_PLACE_UNKNOWN;
	LWLockRelease(ln_shared->lock);
}

void
ln_identity_step(void)
{
	LnPlace		place;
	bool		wanted;

	/* who knocked only wanted to know whether somebody is there */
	if (place_fd >= 0)
	{
		int			fd;

		while ((fd = accept(place_fd, NULL, NULL)) >= 0)
			close(fd);
	}

	LWLockAcquire(ln_shared->lock, LW_SHARED);
	wanted = ln_shared->place_wanted;
	LWLockRelease(ln_shared->lock);
	if (!wanted)
		return;

	if (place_fd >= 0)
	{
		/* under another name now */
		close(place_fd);
		place_fd = -1;
	}
	place = take_place();
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	ln_shared->place_wanted = false;
	ln_shared->place = place;
	strlcpy(ln_shared->place_node, ln_guc_node(), LN_PLACE_NODE);
	if (place == LN_PLACE_TWIN)
		ln_shared->twin_at = GetCurrentTimestamp();
	LWLockRelease(ln_shared->lock);
	if (place == LN_PLACE_TWIN)
		ereport(LOG,
				(errmsg("another server with system identifier " UINT64_FORMAT
						" runs on this host as node \"%s\": this one sends nothing",
						GetSystemIdentifier(), ln_guc_node())));
	for (int i = 0; i < ln_shared->nslots; i++)
	{
		Oid			database;

		LWLockAcquire(ln_shared->lock, LW_SHARED);
		database = ln_shared->slots[i].state == LN_SLOT_FREE
			? InvalidOid : ln_shared->slots[i].database;
		LWLockRelease(ln_shared->lock);
		if (OidIsValid(database))
			ln_shmem_wake(database, LN_WORK_CONFIG, 0, 0);
	}
}

#ifdef __linux__

/*
 * Before others of this server take us for gone: a name that is held by a
 * process that they do not know is that of a twin.
 */
static void
leave_place(int code, Datum arg)
{
	if (place_fd >= 0)
		close(place_fd);
	place_fd = -1;
}

/* The name of our place; its length. */
static socklen_t
place_address(struct sockaddr_un *address)
{
	const char *node = ln_guc_node();
	uint64		hash = hash_bytes_extended((const unsigned char *) node,
										   (int) strlen(node), 0);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	/* the first byte stays 0: no name of a file */
	return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 +
						snprintf(address->sun_path + 1,
								 sizeof(address->sun_path) - 1,
								 "line_notify/" UINT64_FORMAT "/%016llx",
								 GetSystemIdentifier(),
								 (unsigned long long) hash));
}

/*
 * Who has our name?  Whether it is a process of our user, and one of this very
 * server: its launcher, or a drainer of another database.  false when nobody
 * listens there.
 */
static bool
holder(bool *ours, bool *fellow)
{
	struct sockaddr_un address;
	socklen_t	len = place_address(&address);
	struct ucred peer;
	socklen_t	peer_len = sizeof(peer);
	bool		found = false;
	int			fd = socket(AF_UNIX,
							SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	if (connect(fd, (struct sockaddr *) &address, len) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == 0)
	{
		*ours = peer.uid == geteuid();
		*fellow = BackendPidGetProc(peer.pid) != NULL;
		found = true;
	}
	close(fd);
	return found;
}

static LnPlace
take_place(void)
{
	struct sockaddr_un address;
	socklen_t	len = place_address(&address);
	bool		ours;
	bool		fellow;
	int			others = 0;
	static bool leaves = false;

	if (!leaves)
		before_shmem_exit(leave_place, (Datum) 0);
	leaves = true;

	for (int i = 0; i < BIND_LOOKS; i++)
	{
		int			fd = socket(AF_UNIX,
								SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd < 0)
			break;
		if (bind(fd, (struct sockaddr *) &address, len) == 0 &&
			listen(fd, 64) == 0)
		{
			place_fd = fd;
			return LN_PLACE_TAKEN;
		}
		close(fd);
		if (holder(&ours, &fellow))
		{
			if (!ours)
				break;
			if (fellow)
				return LN_PLACE_TAKEN;

			/* a fellow that has just ended looks like another one, too */
			if (++others == OTHER_LOOKS)
				return LN_PLACE_TWIN;
		}
		pg_usleep(10000);
	}

	/* another user of the host shall not be able to silence us */
	ereport(LOG,
			(errmsg("could not take the name that tells copies of this server on this host apart"),
			 errdetail("Another program has it, or sockets cannot be made.")));
	return LN_PLACE_TAKEN;
}

bool
ln_identity_twin_runs(void)
{
	bool		ours;
	bool		fellow;

	return holder(&ours, &fellow) && ours && !fellow;
}

#else

/* Without an abstract namespace, twins are not found. */
static LnPlace
take_place(void)
{
	return LN_PLACE_TAKEN;
}

bool
ln_identity_twin_runs(void)
{
	return false;
}

#endif
