/*-------------------------------------------------------------------------
 *
 * compat.h
 *		Names of newer servers, polyfilled for older ones.
 *
 * The only file that may test PG_VERSION_NUM.  Everything else is written for
 * the newest supported server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_COMPAT_H
#define LN_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "line_notify needs PostgreSQL 15 or newer"
#endif

#include "catalog/pg_database.h"
#include "utils/acl.h"
#include "utils/guc_tables.h"
#include "utils/wait_event.h"

/* 16 moved the VARDATA macros out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18: shows name and version in pg_get_loaded_modules() */
#ifndef PG_MODULE_MAGIC_EXT
#define PG_MODULE_MAGIC_EXT(...) PG_MODULE_MAGIC
#endif

/* 18: before the declaration, instead of after it */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 16 replaced the ownership checks per kind of object by one */
#if PG_VERSION_NUM >= 160000
#define LnDatabaseOwnercheck(db, role) \
	object_ownercheck(DatabaseRelationId, (db), (role))
#define LnRelationOwnercheck(rel, role) \
	object_ownercheck(RelationRelationId, (rel), (role))
#else
#define LnDatabaseOwnercheck(db, role) pg_database_ownercheck((db), (role))
#define LnRelationOwnercheck(rel, role) pg_class_ownercheck((rel), (role))
#endif

/* 17: extensions name their wait events */
#if PG_VERSION_NUM >= 170000
#define LnWaitEvent(name) WaitEventExtensionNew(name)
#else
#define LnWaitEvent(name) PG_WAIT_EXTENSION
#endif

/*
 * 16: takes walkers as they are.  The type of 15, without parameters, is
 * another one since C23, which newer compilers speak unless told otherwise.
 */
#if PG_VERSION_NUM < 160000
#include "nodes/nodeFuncs.h"
#define LN_WALKER(w) ((bool (*) ()) (void (*) (void)) (w))
#define expression_tree_walker(node, w, arg) \
	(expression_tree_walker) ((node), LN_WALKER(w), (arg))
#define query_tree_walker(query, w, arg, flags) \
	(query_tree_walker) ((query), LN_WALKER(w), (arg), (flags))
#endif

/*
 * 17: a resource owner instead of a memory context; for the life of the
 * process
 */
#if PG_VERSION_NUM >= 170000
#define LnCreateWaitEventSet(nevents) CreateWaitEventSet(NULL, (nevents))
#else
#define LnCreateWaitEventSet(nevents) \
	CreateWaitEventSet(TopMemoryContext, (nevents))
#endif

/*
 * 16: a database whose DROP was interrupted; back-patched without the macro's
 * name to 15
 */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB -2
#endif

/* 16 exported the search for a setting; NULL = there is none */
#if PG_VERSION_NUM >= 160000
#define LnFindSetting(name) find_option((name), false, true, 0)
#else
static inline struct config_generic *
LnFindSetting(const char *name)
{
	struct config_generic **settings = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i];
	return NULL;
}
#endif

/* 16: more about what was wrong, which nobody here asks for */
#if PG_VERSION_NUM >= 160000
#define LnDecodeDateTime(field, ftype, nf, dtype, tm, fsec, tz) \
	DecodeDateTime((field), (ftype), (nf), (dtype), (tm), (fsec), (tz), \
				   &(DateTimeErrorExtra) {0})
#else
#define LnDecodeDateTime(field, ftype, nf, dtype, tm, fsec, tz) \
	DecodeDateTime((field), (ftype), (nf), (dtype), (tm), (fsec), (tz))
#endif

/* 16 gave the file of a relation another type and name */
#if PG_VERSION_NUM >= 160000
#define LnSeqRecSetRelation(rec, rel) ((rec)->locator = (rel)->rd_locator)
#else
#define LnSeqRecSetRelation(rec, rel) ((rec)->node = (rel)->rd_node)
#endif

/*
 * 18: the tuple itself, when it is there already; 16: only summarizing indexes
 */
#if PG_VERSION_NUM >= 180000
#define LnExecCheckIndexConstraints(info, slot, estate, conflict) \
	ExecCheckIndexConstraints((info), (slot), (estate), (conflict), \
							  &(slot)->tts_tid, NIL)
#else
#define LnExecCheckIndexConstraints(info, slot, estate, conflict) \
	ExecCheckIndexConstraints((info), (slot), (estate), (conflict), NIL)
#endif
#if PG_VERSION_NUM >= 160000
#define LnExecInsertIndexTuples(info, slot, estate, no_error, lost) \
	ExecInsertIndexTuples((info), (slot), (estate), false, (no_error), \
						  (lost), NIL, false)
#else
#define LnExecInsertIndexTuples(info, slot, estate, no_error, lost) \
	ExecInsertIndexTuples((info), (slot), (estate), false, (no_error), \
						  (lost), NIL)
#endif

#endif							/* LN_COMPAT_H */
