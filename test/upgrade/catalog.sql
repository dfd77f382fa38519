-- Everything that CREATE EXTENSION line_notify made, one line each, without
-- object identifiers: equal lines, equal objects.  For test/t/401_upgrade.pl.
SET search_path = pg_catalog;
WITH member AS (
	SELECT d.classid, d.objid FROM pg_depend d
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
	  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'line_notify')),
rel AS (SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid),
-- an owner's own rights are the same written or not
acl AS (
	SELECT x.what, x.owner, a.* FROM (
		SELECT 'relation ' || c.oid::regclass AS what, c.relowner AS owner, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner)) AS acl FROM rel c
		UNION ALL
		SELECT 'column ' || a.attrelid::regclass || '.' || a.attname, c.relowner, a.attacl FROM rel c JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attacl IS NOT NULL
		UNION ALL
		SELECT 'function ' || p.oid::regprocedure, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
		UNION ALL
		SELECT 'schema ' || n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)) FROM pg_namespace n JOIN member m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid
	) x, aclexplode(x.acl) a)
SELECT line FROM (
	SELECT 'member ' || i.type || ' ' || i.identity AS line FROM member m, pg_identify_object(m.classid, m.objid, 0) i
	UNION ALL
	SELECT 'comment ' || i.type || ' ' || i.identity || ': ' || d.description
	FROM member m JOIN pg_description d ON d.classoid = m.classid AND d.objoid = m.objid,
		 pg_identify_object(m.classid, m.objid, d.objsubid) i
	UNION ALL
	SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	WHERE p.prokind <> 'a'
	UNION ALL
	SELECT format('column %s.%s %s %s notnull %s default %s identity %s generated %s collation %s', c.oid::regclass, a.attname,
		row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attnotnull,
		pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attcollation::regcollation)
	FROM rel c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	UNION ALL
	SELECT format('relation %s kind %s options %s rls %s %s partition %s', c.oid::regclass, c.relkind, c.reloptions, c.relrowsecurity, c.relforcerowsecurity, pg_get_partkeydef(c.oid)) FROM rel c
	UNION ALL
	SELECT format('view %s: %s', c.oid::regclass, pg_get_viewdef(c.oid)) FROM rel c WHERE c.relkind = 'v'
	UNION ALL
	SELECT format('index %s', pg_get_indexdef(i.indexrelid)) FROM rel c JOIN pg_index i ON i.indrelid = c.oid
	UNION ALL
	SELECT format('constraint %s %s %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) FROM rel c JOIN pg_constraint k ON k.conrelid = c.oid
	UNION ALL
	SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM rel c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
	UNION ALL
	SELECT format('policy %s %s', p.polname, c.oid::regclass) FROM rel c JOIN pg_policy p ON p.polrelid = c.oid
	UNION ALL
	SELECT format('enum %s %s %s', e.enumtypid::regtype, row_number() OVER (PARTITION BY e.enumtypid ORDER BY e.enumsortorder), e.enumlabel)
	FROM pg_enum e JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = e.enumtypid
	UNION ALL
	SELECT format('right %s: %s %s%s', a.what, CASE WHEN a.grantee = 0 THEN 'PUBLIC' WHEN a.grantee = a.owner THEN 'owner' ELSE a.grantee::regrole::text END,
		a.privilege_type, CASE WHEN a.is_grantable THEN ' with grant option' END) FROM acl a
	UNION ALL
	SELECT format('dumped %s %s', c.oid::regclass, k.condition)
	FROM pg_extension e, unnest(e.extconfig, e.extcondition) k (oid, condition) JOIN pg_class c ON c.oid = k.oid WHERE e.extname = 'line_notify'
) x
ORDER BY line COLLATE "C";
