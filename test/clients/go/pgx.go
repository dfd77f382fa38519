// pgx
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

const insert = `INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
	VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`

func main() {
	line("version", "ok", os.Getenv("CLIENT_VERSION"))
	ctx := context.Background()
	db, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%s user=app dbname=postgres", os.Getenv("PGHOST"), os.Getenv("PGPORT")))
	must(err)

	var order, id, again int64
	var state string
	must(db.BeginFunc(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "INSERT INTO orders (phone) VALUES ('090-1234-5678') RETURNING id").Scan(&order); err != nil {
			return err
		}
		body := map[string]interface{}{"items": []map[string]string{{"itemKey": "number_001_ja", "content": "1234"}}}
		return tx.QueryRow(ctx, insert+", state", "090-1234-5678", "parcel_delivery", "shipment_completed_ja",
			body, fmt.Sprint(order), fmt.Sprint("pgx ", order)).Scan(&id, &state)
	}))
	check("create", state == "queued" && id > 0)

	must(db.QueryRow(ctx, insert, "090-1234-5678", "parcel_delivery", "t", nil, nil, fmt.Sprint("pgx ", order)).Scan(&again))
	check("duplicate", again == id)

	// one round trip
	batch := &pgx.Batch{}
	for _, k := range []string{"a", "b", "a"} {
		batch.Queue(insert, "090-1234-5678", "parcel_delivery", "t", nil, nil, fmt.Sprint("pgx ", order, " ", k))
	}
	results := db.SendBatch(ctx, batch)
	var ids [3]int64
	for i := range ids {
		must(results.QueryRow().Scan(&ids[i]))
	}
	must(results.Close())
	check("bulk with duplicate", ids[0] == ids[2] && ids[0] != ids[1])

	var reference string
	var phone *string
	must(db.QueryRow(ctx, "SELECT state, reference, phone FROM line_notify.messages WHERE id = $1", id).Scan(&state, &reference, &phone))
	check("read back", state == "queued" && reference == fmt.Sprint(order) && phone == nil)

	rows, err := db.Query(ctx, "SELECT * FROM line_notify.messages LIMIT 0")
	must(err)
	check("introspect", len(rows.FieldDescriptions()) > 20)
	rows.Close()

	// binary COPY: every column of the view has a type that pgx knows
	n, err := db.CopyFrom(ctx, pgx.Identifier{"line_notify", "messages"}, []string{"phone", "use_case", "template_key", "batch"},
		pgx.CopyFromSlice(100, func(i int) ([]interface{}, error) {
			return []interface{}{fmt.Sprintf("090-1234-%04d", i), "parcel_delivery", "t", "pgx batch"}, nil
		}))
	must(err)
	var queued int64
	must(db.QueryRow(ctx, "SELECT count(*) FROM line_notify.messages WHERE batch = 'pgx batch' AND state = 'queued'").Scan(&queued))
	check("batch", n == 100 && queued == 100)

	err = db.QueryRow(ctx, insert, "090-8765-4321", "reservatoin", "t", nil, nil, nil).Scan(&again)
	if e, ok := err.(*pgconn.PgError); ok {
		report(e.Message + " " + e.Hint + " " + e.Error())
	}
	_, err = db.Exec(ctx, "INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES ($1, 'high', 'reservation', 't')", "090-8765-4321")
	typo(err)

	_, err = db.Exec(ctx, "UPDATE line_notify.messages SET priority = 5 WHERE id = $1", id)
	must(err)
	_, err = db.Exec(ctx, "DELETE FROM line_notify.messages WHERE id = $1", id)
	must(err)
	must(db.QueryRow(ctx, "SELECT state FROM line_notify.messages WHERE id = $1", id).Scan(&state))
	check("cancel", state == "cancelled")

	must(db.QueryRow(ctx, "SELECT expire($1)", ids[0]).Scan(nil))
	fallback := map[int64]string{}

	// outcomes wait: line_notify.notify_outcomes = 'outcomes' in the server
	_, err = db.Exec(ctx, "LISTEN outcomes")
	must(err)
	// a job: outcomes are gone when this commits, so act inside of the transaction
	must(db.BeginFunc(ctx, func(tx pgx.Tx) error {
		var reference *string
		_, err := tx.QueryFunc(ctx, "SELECT id, state, reference FROM line_notify.take_outcomes(100)", nil,
			[]interface{}{&id, &state, &reference}, func(pgx.QueryFuncRow) error {
				fallback[id] = state
				return nil
			})
		return err
	}))

	_, err = db.Exec(ctx, "NOTIFY outcomes")
	must(err)
	told, err := db.WaitForNotification(ctx)
	must(err)
	check("job", fallback[ids[0]] == "expired" && told.Channel == "outcomes")
}
