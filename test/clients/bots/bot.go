// Go: net/http and lib/pq
package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/lib/pq"
)

func main() {
	db, err := sql.Open("postgres", fmt.Sprintf("host=%s port=%s user=app dbname=postgres sslmode=disable", os.Getenv("PGHOST"), os.Getenv("PGPORT")))
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/webhook/line", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
		if err == nil {
			_, err = db.Exec("SELECT line_notify.receive_webhook($1, $2::bytea, $3)", "shop", body, r.Header.Get("x-line-signature"))
		}
		var e *pq.Error
		if errors.As(err, &e) && e.Code == "28000" { // not from LINE
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if err != nil { // LINE shall deliver it again
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var webhook struct {
			Events []struct {
				Message struct{ Text string }
			}
		}
		if json.Unmarshal(body, &webhook) == nil {
			for _, event := range webhook.Events {
				io.WriteString(w, event.Message.Text) // your bot
			}
		}
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Getenv("BOT_PORT"), nil))
}
