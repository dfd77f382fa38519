// Hibernate
import java.util.*;
import javax.persistence.*;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.annotations.ColumnTransformer;
import org.hibernate.cfg.Configuration;

public class Hibernate {
    @Entity @Table(name = "messages", schema = "line_notify")
    public static class Message {
        // hibernate.jdbc.use_get_generated_keys: else it asks for a sequence of the column
        @Id @GeneratedValue(strategy = GenerationType.IDENTITY) public Long id;
        public String phone;
        @Column(name = "use_case") public String useCase;
        @Column(name = "template_key") public String templateKey;
        @ColumnTransformer(write = "CAST(? AS jsonb)") public String body;
        public String reference;
        @Column(name = "dedup_key") public String dedupKey;
        public String batch;
        @Column(insertable = false) public Short priority;
        @Column(insertable = false, updatable = false) public String state;
    }

    static Message message(String phone, String useCase, String dedupKey) {
        Message m = new Message();
        m.phone = phone;
        m.useCase = useCase;
        m.templateKey = "shipment_completed_ja";
        m.body = "{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"1234\"}]}";
        m.dedupKey = dedupKey;
        return m;
    }

    public static void main(String[] args) {
        Report.line("version", "ok", System.getenv("CLIENT_VERSION"));
        SessionFactory factory = new Configuration()
            .setProperty("hibernate.connection.driver_class", "org.postgresql.Driver")
            .setProperty("hibernate.connection.url", Report.url())
            .setProperty("hibernate.dialect", "org.hibernate.dialect.PostgreSQLDialect")
            .setProperty("hibernate.jdbc.use_get_generated_keys", "true")
            .addAnnotatedClass(Order.class).addAnnotatedClass(Message.class).buildSessionFactory();
        Session session = factory.openSession();

        session.beginTransaction();
        Order order = new Order();
        order.phone = "090-1234-5678";
        session.persist(order);
        Message message = message(order.phone, "parcel_delivery", "hibernate " + order.id);
        message.reference = "" + order.id;
        session.persist(message);
        session.getTransaction().commit();
        session.refresh(message);
        Report.check("create", message.id > 0 && message.state.equals("queued"));
        session.close();

        // a session has one object of an id: a duplicate wants another one
        session = factory.openSession();
        session.beginTransaction();
        Message again = message(order.phone, "parcel_delivery", "hibernate " + order.id);
        session.persist(again);
        session.getTransaction().commit();
        session.close();
        Report.check("duplicate", again.id.equals(message.id));

        long[] ids = new long[3];
        for (int i = 0; i < 3; i++) {
            session = factory.openSession();
            session.beginTransaction();
            Message m = message(order.phone, "parcel_delivery", "hibernate " + order.id + " " + "aba".charAt(i));
            session.persist(m);
            session.getTransaction().commit();
            session.close();
            ids[i] = m.id;
        }
        Report.check("bulk with duplicate", ids[0] == ids[2] && ids[0] != ids[1]);

        session = factory.openSession();
        session.beginTransaction();
        Message read = (Message) session.get(Message.class, message.id);
        read.priority = 5;
        session.getTransaction().commit();
        session.refresh(read);
        Report.check("read back", read.state.equals("queued") && read.reference.equals("" + order.id) && read.phone == null && read.priority == 5);

        Report.check("introspect", session.createQuery("from Hibernate$Message").setMaxResults(1).list().size() == 1);

        session.beginTransaction();
        for (int i = 0; i < 100; i++) {
            Message m = message(String.format("090-1234-%04d", i), "parcel_delivery", null);
            m.batch = "hibernate batch";
            session.persist(m);
        }
        session.getTransaction().commit();
        Report.check("batch", ((Number) session.createQuery("select count(*) from Hibernate$Message m where m.batch = 'hibernate batch' and m.state = 'queued'")
            .uniqueResult()).intValue() == 100);
        session.close();

        session = factory.openSession();
        session.beginTransaction();
        try {
            session.persist(message("090-8765-4321", "reservatoin", null));
        } catch (RuntimeException e) {
            Report.error(e);
        }
        session.getTransaction().rollback();
        session.close();

        session = factory.openSession();
        session.beginTransaction();
        try {
            session.createSQLQuery("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (?, 'high', 'reservation', 't')")
                .setString(0, "090-8765-4321").executeUpdate();
        } catch (RuntimeException e) {
            Report.typo(e, e, "–");
        }
        session.getTransaction().rollback();
        session.close();

        session = factory.openSession();
        session.beginTransaction();
        read.priority = 4;
        read = (Message) session.merge(read);
        session.saveOrUpdate(read);
        session.getTransaction().commit();
        session.refresh(read);
        Report.line("upsert", read.priority == 4 ? "ok" : "FAIL", "merge(), saveOrUpdate()");

        session.beginTransaction();
        session.delete(session.get(Message.class, message.id));
        session.getTransaction().commit();
        session.clear();
        Report.check("cancel", ((Message) session.get(Message.class, message.id)).state.equals("cancelled"));
        session.close();
        factory.close();
    }
}
