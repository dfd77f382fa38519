// JPA, here EclipseLink
import java.util.*;
import javax.persistence.*;

public class Jpa {
    @Entity @Table(name = "messages", schema = "line_notify")
    public static class Message {
        // IDENTITY would ask for lastval(), which the id of a message never is
        @Id public Long id;
        public String reference;
        public String state;
        public String phone;
        public Short priority;
    }

    static Number send(EntityManager em, String phone, String useCase, String template, String body, String reference, String dedupKey) {
        return (Number) em.createNativeQuery(
            "INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)"
            + " VALUES (?1, ?2, ?3, CAST(?4 AS jsonb), ?5, ?6) RETURNING id")
            .setParameter(1, phone).setParameter(2, useCase).setParameter(3, template)
            .setParameter(4, body).setParameter(5, reference).setParameter(6, dedupKey)
            .getSingleResult();
    }

    public static void main(String[] args) {
        Report.line("version", "ok", org.eclipse.persistence.Version.getVersion());
        EntityManager em = Persistence.createEntityManagerFactory("shop",
            Collections.singletonMap("javax.persistence.jdbc.url", Report.url())).createEntityManager();

        em.getTransaction().begin();
        Order order = new Order();
        order.phone = "090-1234-5678";
        em.persist(order);
        em.flush();
        long id = send(em, order.phone, "parcel_delivery", "shipment_completed_ja",
            "{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"1234\"}]}", "" + order.id, "jpa " + order.id).longValue();
        em.getTransaction().commit();
        Report.check("create", id > 0 && em.find(Message.class, id).state.equals("queued"));

        em.getTransaction().begin();
        Report.check("duplicate", send(em, order.phone, "parcel_delivery", "t", "{}", null, "jpa " + order.id).longValue() == id);
        long[] ids = new long[3];
        for (int i = 0; i < 3; i++)
            ids[i] = send(em, order.phone, "parcel_delivery", "t", "{}", null, "jpa " + order.id + " " + "aba".charAt(i)).longValue();
        em.getTransaction().commit();
        Report.check("bulk with duplicate", ids[0] == ids[2] && ids[0] != ids[1]);

        em.getTransaction().begin();
        Message message = em.find(Message.class, id);
        message.priority = 5;
        em.getTransaction().commit();
        em.refresh(message);
        Report.check("read back", message.state.equals("queued") && message.reference.equals("" + order.id) && message.phone == null && message.priority == 5);

        Report.check("introspect", em.createQuery("SELECT m FROM Jpa$Message m").setMaxResults(1).getResultList().size() == 1);

        em.getTransaction().begin();
        for (int i = 0; i < 100; i++)
            send(em, String.format("090-1234-%04d", i), "parcel_delivery", "t", "{}", "jpa batch", null);
        em.getTransaction().commit();
        Report.check("batch", ((Number) em.createQuery("SELECT count(m) FROM Jpa$Message m WHERE m.reference = 'jpa batch' AND m.state = 'queued'").getSingleResult()).intValue() == 100);

        em.getTransaction().begin();
        try {
            send(em, "090-8765-4321", "reservatoin", "t", "{}", null, null);
        } catch (PersistenceException e) {
            Report.error(e);
        }
        em.getTransaction().rollback();

        em.getTransaction().begin();
        try {
            em.createNativeQuery("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (?1, 'high', 'reservation', 't')")
                .setParameter(1, "090-8765-4321").executeUpdate();
        } catch (PersistenceException e) {
            Report.typo(e, e, "–");
        }
        em.getTransaction().rollback();

        em.getTransaction().begin();
        em.remove(em.find(Message.class, id));
        em.getTransaction().commit();
        em.clear();
        Report.check("cancel", em.find(Message.class, id).state.equals("cancelled"));
    }
}
