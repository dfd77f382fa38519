/*-------------------------------------------------------------------------
 *
 * hooks.c
 *		Commands of others that concern our workers.
 *
 * - DROP DATABASE, ALTER DATABASE ... RENAME / SET TABLESPACE and CREATE
 *   DATABASE ... TEMPLATE refuse to work while anybody is connected, and our
 *   worker would be that somebody.  It steps aside first, after the caller's
 *   right has been checked (nobody else may stop it), and comes back when the
 *   command failed or the database still exists.
 * - ALTER EXTENSION ... UPDATE waits until the worker is between two
 *   transactions, and keeps it there until it has committed.
 * - DROP EXTENSION, however it comes about, is noticed by the object access
 *   hook, so that an idle worker learns of it.
 * - COMMIT PREPARED publishes rows that another session inserted.
 * - LOCK TABLE of a view locks what it reads with the rights of its owner: a
 *   sender could hold up everybody.  It is for the owner of our tables.
 * - CREATE RULE, CREATE TRIGGER, foreign keys and ATTACH PARTITION lock first
 *   and look at privileges then: who waits for such a lock has everybody wait
 *   behind him.  Here privileges are looked at first.
 * - What a statement that may hold a telephone number has logged is logged
 *   without the statement, the line of a COPY, and the row that a constraint
 *   refused; and where PostgreSQL repeats a value that is none of its type, a
 *   number is not said, neither to the log nor to the client.  (The server
 *   asks us of what it logs only: with log_min_messages = fatal, the client
 *   is told it.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/name.h"
#include "compat.h"
#include "guc.h"
#include "server/hooks.h"
#include "server/shmem.h"
#include "server/wakeup.h"

/*
 * A statement that names one of our objects may hold a telephone number, a
 * recipient or a secret.  Without the name of the schema these tell, where it
 * is in the search path.
 */
static const char *const private_words[] = {
	"outbox", "messages", "enqueue", "phone", "recipient", "_channel",
	"set_credential", "notifications", "receive_webhook",
	"receive_verified_events", "_link", "e164", "suppression", "history",
	"wait_for", "cancel", "reschedule", "redrive", "take_outcomes"
};

static emit_log_hook_type prev_emit_log = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;
static object_access_hook_type prev_object_access = NULL;

static bool
is_template(Oid db)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(db));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * CREATEDB; the server's own test of it is not exported by every minor
 * release.
 */
static bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		result = false;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result;
}

typedef struct Reads
{
	Oid			schema;			/* ours */
	Oid			view;			/* which is looked at, and names itself */
	bool		nowait;
} Reads;

static bool is_ours(Oid relid, Oid schema, bool nowait);

/* Does it read a relation of ours that the current user does not own? */
static bool
reads_ours(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		Reads	   *reads = (Reads *) arg;

		return rte->rtekind == RTE_RELATION && rte->relid != reads->view &&
			is_ours(rte->relid, reads->schema, reads->nowait);
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, reads_ours, arg,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, reads_ours, arg);
}

/*
 * Is that in our schema, or a view over it, and not the current user's?  A
 * superuser owns everything.
 */
static bool
is_ours(Oid relid, Oid schema, bool nowait)
{
	Reads		reads = {schema, relid, nowait};
	Relation	rel;
	bool		found;

	check_stack_depth();
	if (get_rel_namespace(relid) == schema)
		return !LnRelationOwnercheck(relid, GetUserId());
	if (get_rel_relkind(relid) != RELKIND_VIEW)
		return false;
	/* whoever has it locked against this has it locked against LOCK TABLE */
	if (nowait && !ConditionalLockRelationOid(relid, AccessShareLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on relation \"%s\"",
						get_rel_name(relid))));
	rel = try_relation_open(relid, nowait ? NoLock : AccessShareLock);
	if (rel == NULL)
		return false;			/* dropped just now */
	found = reads_ours((Node *) get_view_query(rel), &reads);
	relation_close(rel, AccessShareLock);
	return found;
}

/* LOCK TABLE: raises an error when it would lock our tables for a role
 * that is not allowed to. */
static void
check_lock(LockStmt *stmt)
{
	Oid			schema = get_namespace_oid("line_notify", true);
	ListCell   *lc;

	if (!OidIsValid(schema) || superuser())
		return;
	foreach(lc, stmt->relations)
	{
		Oid			relid = RangeVarGetRelid((RangeVar *) lfirst(lc), NoLock,
											 true);

		if (OidIsValid(relid) && is_ours(relid, schema, stmt->nowait))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to lock \"%s\"",
							get_rel_name(relid)),
					 errdetail("It is, or reads, a table of line_notify, which others send through.")));
	}
}

/*
 * Raises the server's own error, before it locks anything, when that is in our
 * schema and the current user has not the privilege; 0: does not own it.
 */
static void
check_privilege(RangeVar * rel, AclMode privilege)
{
	Oid			schema = get_namespace_oid("line_notify", true);
	Oid			relid = RangeVarGetRelid(rel, NoLock, true);

	if (!OidIsValid(schema) || !OidIsValid(relid) ||
		get_rel_namespace(relid) != schema ||
		LnRelationOwnercheck(relid, GetUserId()))
		return;
	if (privilege != 0 &&
		(pg_class_aclcheck(relid, GetUserId(), privilege) == ACLCHECK_OK ||
		 pg_attribute_aclcheck_all(relid, GetUserId(), privilege,
								   ACLMASK_ANY) == ACLCHECK_OK))
		return;
	aclcheck_error(privilege != 0 ? ACLCHECK_NO_PRIV : ACLCHECK_NOT_OWNER,
				   get_relkind_objtype(get_rel_relkind(relid)),
				   get_rel_name(relid));
}

static void
check_foreign_keys(List * constraints)
{
	ListCell   *lc;

	foreach(lc, constraints)
	{
		Constraint *constraint = (Constraint *) lfirst(lc);

		/* ALTER CONSTRAINT names no table */
		if (IsA(constraint, Constraint) &&
			constraint->contype == CONSTR_FOREIGN &&
			constraint->pktable != NULL)
			check_privilege(constraint->pktable, ACL_REFERENCES);
	}
}

/*
 * What the server locks before it looks at privileges.  CREATE TABLE adds its
 * foreign keys by ALTER TABLE, which comes by here.
 */
static void
check_before_lock(Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_LockStmt:
			check_lock((LockStmt *) stmt);
			break;
		case T_RuleStmt:
			check_privilege(((RuleStmt *) stmt)->relation, 0);
			break;
		case T_CreateTrigStmt:
			check_privilege(((CreateTrigStmt *) stmt)->relation, ACL_TRIGGER);
			break;
		case T_AlterTableStmt:
			foreach(lc, ((AlterTableStmt *) stmt)->cmds)
			{
				Node	   *def = ((AlterTableCmd *) lfirst(lc))->def;

				if (def == NULL)
					continue;
				if (IsA(def, Constraint))
					check_foreign_keys(list_make1(def));
				else if (IsA(def, ColumnDef))
					check_foreign_keys(((ColumnDef *) def)->constraints);
				else if (IsA(def, PartitionCmd) &&
						 ((PartitionCmd *) def)->name != NULL)
					check_privilege(((PartitionCmd *) def)->name, 0);
			}
			break;
		default:
			break;
	}
}

/*
 * Databases whose worker must be away while this statement runs.  Returns
 * InvalidOid for every other statement, and when the caller has no right to
 * the command (which will then say so itself).
 */
static Oid
database_to_free(Node *stmt, bool *at_once)
{
	Oid			db = InvalidOid;

	*at_once = false;
	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			{
				ListCell   *lc;

				db = get_database_oid(((DropdbStmt *) stmt)->dbname, true);

				/*
				 * what is on the wire is given up only if the command will
				 * succeed
				 */
				*at_once = OidIsValid(db) && CountDBConnections(db) == 0;
				foreach(lc, ((DropdbStmt *) stmt)->options)
					if (strcmp(((DefElem *) lfirst(lc))->defname, "force") ==
						0)
					*at_once = true;
				break;
			}
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
				db = get_database_oid(((RenameStmt *) stmt)->subname, true);
			break;
		case T_AlterDatabaseStmt:
			{
				AlterDatabaseStmt *alter = (AlterDatabaseStmt *) stmt;
				ListCell   *lc;

				foreach(lc, alter->options)
				{
					if (strcmp(((DefElem *) lfirst(lc))->defname,
							   "tablespace") == 0)
						db = get_database_oid(alter->dbname, true);
				}
				break;
			}
		case T_CreatedbStmt:
			{
				ListCell   *lc;
				const char *template = "template1";

				foreach(lc, ((CreatedbStmt *) stmt)->options)
				{
					DefElem    *opt = (DefElem *) lfirst(lc);

					if (strcmp(opt->defname, "template") == 0 &&
						opt->arg != NULL)
						template = defGetString(opt);
				}
				if (!may_create_databases())
					return InvalidOid;
				db = get_database_oid(template, true);

				/*
				 * others than its owner may copy a database only when it is a
				 * template
				 */
				if (OidIsValid(db) && is_template(db))
					return db;
				break;
			}
		default:
			return InvalidOid;
	}
	if (!OidIsValid(db) || !LnDatabaseOwnercheck(db, GetUserId()))
		return InvalidOid;

	/*
	 * the current database cannot be the object of these, except as a
	 * template
	 */
	if (db == MyDatabaseId && !IsA(stmt, CreatedbStmt))
		return InvalidOid;
	return db;
}

static void
next_process_utility(PlannedStmt *pstmt, const char *queryString,
					 bool readOnlyTree, ProcessUtilityContext context,
					 ParamListInfo params, QueryEnvironment *queryEnv,
					 DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_process_utility)
		prev_process_utility(pstmt, queryString, readOnlyTree, context,
							 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

static void
release(int code, Datum db)
{
	ln_shmem_end_hold(DatumGetObjectId(db));
}

static void
ln_process_utility(PlannedStmt *pstmt, const char *queryString,
				   bool readOnlyTree, ProcessUtilityContext context,
				   ParamListInfo params, QueryEnvironment *queryEnv,
				   DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;
	bool		soon = false;
	volatile bool at_once;
	volatile Oid db = InvalidOid;
	bool		alter_extension = IsA(stmt, AlterExtensionStmt) &&
	strcmp(((AlterExtensionStmt *) stmt)->extname, "line_notify") == 0;
	bool		end_prepared = IsA(stmt, TransactionStmt) &&
	(((TransactionStmt *) stmt)->kind == TRANS_STMT_COMMIT_PREPARED ||
	 ((TransactionStmt *) stmt)->kind == TRANS_STMT_ROLLBACK_PREPARED);

	/*
	 * get_database_oid() and the rights need a transaction, which these
	 * commands have; within a transaction block they fail, all but RENAME.
	 */
	if (ln_shared != NULL && IsTransactionState() &&
		(IsA(stmt, RenameStmt) ||
		 !(IsTransactionBlock() || IsSubTransaction())))
		db = database_to_free(stmt, &soon);
	at_once = soon;

	/*
	 * commands that a transaction in error refuses have no catalog to look
	 * into
	 */
	if (IsTransactionState())
		check_before_lock(stmt);

	/*
	 * From the first change to its commit no claim is made, and the worker
	 * learns of the new version with the lock: not one message is taken by a
	 * library that does not know the objects.  Only superusers may do this
	 * command.
	 */
	if (ln_shared != NULL && alter_extension && superuser())
	{
		Oid			schema = get_namespace_oid("line_notify", true);

		if (OidIsValid(schema))
			LockDatabaseObject(NamespaceRelationId, schema, 0,
							   AccessExclusiveLock);
	}

	if (!OidIsValid(db))
		next_process_utility(pstmt, queryString, readOnlyTree, context, params,
							 queryEnv, dest, qc);
	else
	{
		/* also on the way out of a session that is terminated */
		PG_ENSURE_ERROR_CLEANUP(release, ObjectIdGetDatum(db));
		{
			/* more than the drain needs; the command itself waits 5 s more */
			if (!ln_shmem_hold(db, at_once, ln_guc_shutdown_timeout + 10000))
				ereport(WARNING,
						(errmsg("the line_notify worker of the database did not step aside in time")));
			next_process_utility(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
		}
		PG_END_ENSURE_ERROR_CLEANUP(release, ObjectIdGetDatum(db));

		/*
		 * Its database stays locked until the transaction ends, and a worker
		 * that waits for that lock could not step aside for another command.
		 */
		if (IsA(stmt, RenameStmt))
			ln_wakeup_hold_until_end();
		else
			ln_shmem_end_hold(db);
	}

	if (ln_shared == NULL)
		return;
	/* prepared transactions belong to the database they were made in: ours */
	if (end_prepared)
	{
		/* which lanes, the scan will tell */
		ln_shmem_wake(MyDatabaseId, LN_WORK_ALL & ~LN_WORK_OUTBOX, 0, 0);
		/* an operator function may have ended messages */
		ln_shmem_ended(LN_ENDINGS_ALL);
	}

	/*
	 * after ALTER EXTENSION UPDATE the worker may go on, or has to stand
	 * still
	 */
	if (alter_extension)
		ln_wakeup_at_commit(LN_WORK_EXTENSION);

	/*
	 * a copy of more than what initdb made may have content to forget, and
	 * nobody who inserts
	 */
	if (IsA(stmt, CreatedbStmt) &&
		(db >= FirstNormalObjectId || db == PostgresDbOid))
	{
		const char *name = ((CreatedbStmt *) stmt)->dbname;

		CommandCounterIncrement();
		ln_wakeup_new_database(get_database_oid(name, true));
	}
}

static void
ln_object_access(ObjectAccessType access, Oid classId,
				 Oid objectId, int subId, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);

	if (access == OAT_DROP && classId == ExtensionRelationId &&
		ln_shared != NULL && OidIsValid(MyDatabaseId) &&
		objectId == get_extension_oid("line_notify", true))
		ln_wakeup_at_commit(LN_WORK_EXTENSION);
}

/* Does "line_notify." stand here, quoted or not? */
static bool
names_schema(const char *p)
{
	static const char schema[] = "line_notify";

	if (pg_strncasecmp(p, schema, sizeof(schema) - 1) != 0)
		return false;
	p += sizeof(schema) - 1;
	if (*p == '"')
		p++;
	while (isspace((unsigned char) *p))
		p++;
	return *p == '.';
}

static bool
has_our_schema(const char *path)
{
	return path != NULL && strstr(path, "line_notify") != NULL;
}

/*
 * Is our schema in the search path of the statement?  In a function with a
 * path of its own, as most of ours are, that is the one which comes back after
 * it.
 */
static bool
is_in_path(void)
{
	struct config_generic *setting;

	if (has_our_schema(namespace_search_path))
		return true;
	setting = LnFindSetting("search_path");
	if (setting != NULL)
		for (GucStack *s = setting->stack; s != NULL; s = s->prev)
			if (has_our_schema(s->prior.val.stringval))
				return true;
	return false;
}

static bool
has_private_word(const char *statement)
{
	bool		in_path = is_in_path();

	for (const char *p = statement; *p != '\0'; p++)
	{
		if ((*p == 'l' || *p == 'L') && names_schema(p))
			return true;
		for (int i = 0; in_path && i < (int) lengthof(private_words); i++)
			if (pg_strncasecmp(p, private_words[i],
							   strlen(private_words[i])) == 0)
				return true;
	}
	return false;
}

/* Is the statement logged with one of that level?  LOG is above ERROR. */
static bool
has_statement_logged(int elevel)
{
	if (elevel == LOG || elevel == LOG_SERVER_ONLY)
		return log_min_error_statement == LOG ||
			log_min_error_statement <= ERROR;
	return log_min_error_statement == LOG ? elevel >= FATAL
		: elevel >= log_min_error_statement;
}

/*
 * What in a context begins what the statement was given: a line of COPY or of
 * JSON, bound parameters, one of them; NULL = nothing.  All but these signs is
 * translated.
 */
static char *
given_values(char *context)
{
	static const char *const signs[] = {": ", "\xEF\xBC\x9A", " = "};
	char	   *first = NULL;

	for (int i = 0; i < (int) lengthof(signs); i++)
	{
		char	   *values = strstr(context, signs[i]);

		if (values != NULL && (first == NULL || values < first))
			first = values;
	}
	return first;
}

/* Does such an error repeat the value, as the types' input functions do? */
static bool
repeats_value(int sqlerrcode)
{
	switch (sqlerrcode)
	{
		case ERRCODE_INVALID_TEXT_REPRESENTATION:
		case ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE:
		case ERRCODE_INVALID_DATETIME_FORMAT:
		case ERRCODE_DATETIME_FIELD_OVERFLOW:
		case ERRCODE_INTERVAL_FIELD_OVERFLOW:
		case ERRCODE_INVALID_TIME_ZONE_DISPLACEMENT_VALUE:
			return true;
		default:
			return false;
	}
}

/*
 * Takes the number out of what a type's input function says, and out of the
 * line of a COPY or of JSON it stood in, which follows a colon.
 */
static void
hide_number(ErrorData *edata)
{
	char	   *values = edata->context != NULL ? given_values(edata->context)
	: NULL;

	if (edata->message != NULL)
		ln_star_number(edata->message);
	if (edata->detail != NULL)
		ln_star_number(edata->detail);
	if (values != NULL)
		ln_star_number(values);
}

/*
 * An error of such a statement, whoever raises it (the parser at a misspelt
 * use case, a constraint somebody added), is logged without its text.  So are
 * a line of input that COPY could not read, and the row that a constraint of
 * ours refused, also to a worker; and the statements of others that a deadlock
 * names.  The client is told all but a statement within a function.
 */
static void
ln_emit_log(ErrorData *edata)
{
	bool		private;

	/*
	 * The executor refuses a statement before anything of ours could say what
	 * to do about it.  The client is sent what is here, too.
	 */
	if (edata->elevel == ERROR && edata->hint == NULL &&
		edata->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE &&
		edata->message != NULL && debug_query_string != NULL &&
		strstr(debug_query_string, "line_notify") != NULL &&
		(strstr(edata->message, "outbox") != NULL ||
		 strstr(edata->message, "messages") != NULL))
		edata->hint = MemoryContextStrdup(edata->assoc_context,
										  "line_notify.grant_sender(role, channels) lets a role send. What it may return of the outbox is the id; view line_notify.messages returns the whole row, and is what libraries should use.");
	if (edata->elevel >= ERROR && edata->schema_name != NULL &&
		edata->detail != NULL &&
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) ==
		ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION &&
		strcmp(edata->schema_name, "line_notify") == 0)
		edata->detail_log =
			pstrdup("The row is not logged, since it may name a person.");
	/* our workers' statements hold nothing but parameters */
	if (debug_query_string == NULL || !has_statement_logged(edata->elevel))
		private = false;
	else
		/* a long statement is searched only if it would be logged */
		private = has_private_word(debug_query_string);
	if (private)
		edata->hide_stmt = true;
	if (repeats_value(edata->sqlerrcode) && debug_query_string != NULL &&
		(private || has_private_word(debug_query_string)))
		hide_number(edata);
	if (debug_query_string != NULL && edata->context != NULL &&
		(has_private_word(edata->context) ||
		 (private && given_values(edata->context) != NULL)))
		edata->hide_ctx = true;
	if (debug_query_string != NULL && edata->internalquery != NULL &&
		has_private_word(edata->internalquery))
	{
		edata->internalquery = NULL;
		edata->internalpos = 0;
	}
	if (edata->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED &&
		edata->detail != NULL && edata->detail_log != NULL &&
		has_private_word(edata->detail_log))
		edata->detail_log = pstrdup(edata->detail);
	if (prev_emit_log)
		prev_emit_log(edata);
}

void
ln_hooks_install(void)
{
	prev_emit_log = emit_log_hook;
	emit_log_hook = ln_emit_log;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = ln_process_utility;
	prev_object_access = object_access_hook;
	object_access_hook = ln_object_access;
}
