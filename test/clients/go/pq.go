// lib/pq, by database/sql
package main

import (
	"database/sql"
	"fmt"
	"os"

	"github.com/lib/pq"
)

const insert = `INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
	VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`

func main() {
	line("version", "ok", os.Getenv("CLIENT_VERSION"))
	db, err := sql.Open("postgres", fmt.Sprintf("host=%s port=%s user=app dbname=postgres sslmode=disable", os.Getenv("PGHOST"), os.Getenv("PGPORT")))
	must(err)

	tx, err := db.Begin()
	must(err)
	var order, id, again int64
	var state string
	must(tx.QueryRow("INSERT INTO orders (phone) VALUES ('090-1234-5678') RETURNING id").Scan(&order))
	must(tx.QueryRow(insert+", state", "090-1234-5678", "parcel_delivery", "shipment_completed_ja",
		`{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}`,
		fmt.Sprint(order), fmt.Sprint("pq ", order)).Scan(&id, &state))
	must(tx.Commit())
	check("create", state == "queued" && id > 0)

	must(db.QueryRow(insert, "090-1234-5678", "parcel_delivery", "t", nil, nil, fmt.Sprint("pq ", order)).Scan(&again))
	check("duplicate", again == id)

	keys := pq.Array([]string{fmt.Sprint("pq ", order, " a"), fmt.Sprint("pq ", order, " b"), fmt.Sprint("pq ", order, " a")})
	rows, err := db.Query(`INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key)
		SELECT '090-1234-5678', 'parcel_delivery', 't', k FROM unnest($1::text[]) k RETURNING id`, keys)
	must(err)
	var ids []int64
	for rows.Next() {
		var x int64
		must(rows.Scan(&x))
		ids = append(ids, x)
	}
	must(rows.Err())
	check("bulk with duplicate", len(ids) == 3 && ids[0] == ids[2] && ids[0] != ids[1])

	var reference string
	var phone sql.NullString
	must(db.QueryRow("SELECT state, reference, phone FROM line_notify.messages WHERE id = $1", id).Scan(&state, &reference, &phone))
	check("read back", state == "queued" && reference == fmt.Sprint(order) && !phone.Valid)

	rows, err = db.Query("SELECT * FROM line_notify.messages LIMIT 0")
	must(err)
	types, err := rows.ColumnTypes()
	must(err)
	check("introspect", len(types) > 20 && types[0].DatabaseTypeName() == "INT8")
	rows.Close()

	tx, err = db.Begin()
	must(err)
	copy, err := tx.Prepare(pq.CopyInSchema("line_notify", "messages", "phone", "use_case", "template_key", "batch"))
	must(err)
	for i := 0; i < 100; i++ {
		_, err = copy.Exec(fmt.Sprintf("090-1234-%04d", i), "parcel_delivery", "t", "pq batch")
		must(err)
	}
	_, err = copy.Exec()
	must(err)
	must(copy.Close())
	must(tx.Commit())
	var n int
	must(db.QueryRow("SELECT count(*) FROM line_notify.messages WHERE batch = 'pq batch' AND state = 'queued'").Scan(&n))
	check("batch", n == 100)

	err = db.QueryRow(insert, "090-8765-4321", "reservatoin", "t", nil, nil, nil).Scan(&again)
	if e, ok := err.(*pq.Error); ok {
		report(e.Message + " " + e.Hint + " " + e.Error())
	}
	_, err = db.Exec("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES ($1, 'high', 'reservation', 't')", "090-8765-4321")
	typo(err)

	_, err = db.Exec("UPDATE line_notify.messages SET priority = 5 WHERE id = $1", id)
	must(err)
	_, err = db.Exec("DELETE FROM line_notify.messages WHERE id = $1", id)
	must(err)
	must(db.QueryRow("SELECT state FROM line_notify.messages WHERE id = $1", id).Scan(&state))
	check("cancel", state == "cancelled")
}
