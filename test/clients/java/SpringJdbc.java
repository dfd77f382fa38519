// Spring JDBC
import java.util.*;
import org.postgresql.util.PSQLException;
import org.springframework.core.SpringVersion;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.namedparam.*;
import org.springframework.jdbc.core.simple.SimpleJdbcInsert;
import org.springframework.jdbc.datasource.*;
import org.springframework.jdbc.support.GeneratedKeyHolder;
import org.springframework.transaction.support.TransactionTemplate;

public class SpringJdbc {
    static Map<String, Object> row(String phone, String useCase, String dedupKey) {
        Map<String, Object> row = new HashMap<>();
        row.put("phone", phone);
        row.put("use_case", useCase);
        row.put("template_key", "t");
        row.put("dedup_key", dedupKey);
        return row;
    }

    public static void main(String[] args) {
        Report.line("version", "ok", SpringVersion.getVersion());
        DriverManagerDataSource source = new DriverManagerDataSource(Report.url());
        JdbcTemplate db = new JdbcTemplate(source);
        NamedParameterJdbcTemplate named = new NamedParameterJdbcTemplate(source);
        TransactionTemplate transaction = new TransactionTemplate(new DataSourceTransactionManager(source));

        Map<String, Object> message = transaction.execute(status -> {
            Long order = db.queryForObject("INSERT INTO orders (phone) VALUES ('090-1234-5678') RETURNING id", Long.class);
            GeneratedKeyHolder keys = new GeneratedKeyHolder();
            named.update("INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)"
                + " VALUES (:phone, :use_case, :template_key, :body::jsonb, :reference, :dedup_key)",
                new MapSqlParameterSource(row("090-1234-5678", "parcel_delivery", "spring " + order))
                    .addValue("body", "{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"1234\"}]}")
                    .addValue("reference", order.toString()),
                keys, new String[] {"id", "state", "reference"});
            return keys.getKeys();
        });
        long id = (Long) message.get("id");
        String order = (String) message.get("reference");
        Report.check("create", message.get("state").equals("queued") && id > 0);

        // without a list of columns it gives all of them, NULL where there is no value
        SimpleJdbcInsert insert = new SimpleJdbcInsert(source).withSchemaName("line_notify").withTableName("messages").usingGeneratedKeyColumns("id");
        Report.check("duplicate", insert.executeAndReturnKey(row("090-1234-5678", "parcel_delivery", "spring " + order)).longValue() == id);

        List<Long> ids = new ArrayList<>();
        for (String k : new String[] {"a", "b", "a"})
            ids.add(insert.executeAndReturnKey(row("090-1234-5678", "parcel_delivery", "spring " + order + " " + k)).longValue());
        Report.check("bulk with duplicate", ids.get(0).equals(ids.get(2)) && !ids.get(0).equals(ids.get(1)));

        Map<String, Object> got = db.queryForMap("SELECT * FROM line_notify.messages WHERE id = ?", id);
        Report.check("read back", got.get("state").equals("queued") && got.get("reference").equals(order) && got.get("phone") == null);
        Report.check("introspect", got.size() > 20);

        List<Object[]> rows = new ArrayList<>();
        for (int i = 0; i < 100; i++)
            rows.add(new Object[] {String.format("090-1234-%04d", i)});
        db.batchUpdate("INSERT INTO line_notify.messages (phone, use_case, template_key, batch) VALUES (?, 'parcel_delivery', 't', 'spring batch')", rows);
        Report.check("batch", db.queryForObject("SELECT count(*) FROM line_notify.messages WHERE batch = 'spring batch' AND state = 'queued'", Integer.class) == 100);

        try {
            insert.execute(row("090-8765-4321", "reservatoin", null));
        } catch (DataAccessException e) {
            Report.error(e);
        }
        try {
            db.update("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (?, 'high', 'reservation', 't')", "090-8765-4321");
        } catch (DataAccessException e) {
            String shown = ((PSQLException) e.getRootCause()).getServerErrorMessage().getMessage();
            Report.typo(e, new Exception(shown), Report.said(e).equals("shows") ? "`getServerErrorMessage().getMessage()` of the root cause" : "–");
        }

        db.update("UPDATE line_notify.messages SET priority = 5 WHERE id = ?", id);
        db.update("DELETE FROM line_notify.messages WHERE id = ?", id);
        Report.check("cancel", db.queryForObject("SELECT state FROM line_notify.messages WHERE id = ?", String.class, id).equals("cancelled"));
    }
}
