// GORM (the first edition, which is what Debian has)
package main

import (
	"fmt"
	"os"

	"github.com/jinzhu/gorm"
	_ "github.com/jinzhu/gorm/dialects/postgres"
)

type Order struct {
	ID    int64
	Phone string
}

type Message struct {
	ID                   int64
	Channel              string // '' is none, as wherever nobody set a field
	Phone                string
	UseCase              string
	TemplateKey          string
	Body                 *string
	Reference            string
	DedupKey             *string // an empty key is refused
	Batch                string
	Priority             int16
	NotificationDisabled bool
	State                string
}

func (Message) TableName() string { return "line_notify.messages" }

func text(x ...interface{}) *string { s := fmt.Sprint(x...); return &s }

func main() {
	line("version", "ok", os.Getenv("CLIENT_VERSION"))
	db, err := gorm.Open("postgres", fmt.Sprintf("host=%s port=%s user=app dbname=postgres sslmode=disable", os.Getenv("PGHOST"), os.Getenv("PGPORT")))
	must(err)
	db.LogMode(false)

	order := Order{Phone: "090-1234-5678"}
	var message Message
	must(db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&order).Error; err != nil {
			return err
		}
		message = Message{Phone: order.Phone, UseCase: "parcel_delivery", TemplateKey: "shipment_completed_ja",
			Body:      text(`{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}`),
			Reference: fmt.Sprint(order.ID), DedupKey: text("gorm ", order.ID)}
		return tx.Create(&message).Error
	}))
	var got Message
	must(db.First(&got, message.ID).Error)
	check("create", message.ID > 0 && got.State == "queued")

	again := Message{Phone: "090-1234-5678", UseCase: "parcel_delivery", TemplateKey: "t", DedupKey: text("gorm ", order.ID)}
	must(db.Create(&again).Error)
	check("duplicate", again.ID == message.ID)

	// this edition has no bulk insert: one by one in a transaction
	var ids [3]int64
	must(db.Transaction(func(tx *gorm.DB) error {
		for i, k := range []string{"a", "b", "a"} {
			m := Message{Phone: "090-1234-5678", UseCase: "parcel_delivery", TemplateKey: "t", DedupKey: text("gorm ", order.ID, " ", k)}
			if err := tx.Create(&m).Error; err != nil {
				return err
			}
			ids[i] = m.ID
		}
		return nil
	}))
	check("bulk with duplicate", ids[0] == ids[2] && ids[0] != ids[1])

	must(db.Save(&message).Error) // writes every column, as it was made
	got.Priority = 5
	must(db.Save(&got).Error)
	var fresh Message
	must(db.First(&fresh, message.ID).Error)
	check("read back", fresh.State == "queued" && fresh.Reference == fmt.Sprint(order.ID) && fresh.Phone == "" && fresh.Priority == 5)

	check("introspect", db.HasTable(&Order{}) && db.Dialect().HasColumn("messages", "state") || db.NewScope(&fresh).HasColumn("state"))

	must(db.Transaction(func(tx *gorm.DB) error {
		for i := 0; i < 100; i++ {
			m := Message{Phone: fmt.Sprintf("090-1234-%04d", i), UseCase: "parcel_delivery", TemplateKey: "t", Batch: "gorm batch"}
			if err := tx.Create(&m).Error; err != nil {
				return err
			}
		}
		return nil
	}))
	var n int
	must(db.Model(&Message{}).Where("batch = 'gorm batch' AND state = 'queued'").Count(&n).Error)
	check("batch", n == 100)

	if err := db.Create(&Message{Phone: "090-8765-4321", UseCase: "reservatoin", TemplateKey: "t"}).Error; err != nil {
		report(err.Error())
	}
	typo(db.Exec("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (?, 'high', 'reservation', 't')", "090-8765-4321").Error)

	key := Message{Phone: "090-1234-5678", UseCase: "parcel_delivery", TemplateKey: "t", DedupKey: text("gorm ", order.ID)}
	upsert("FirstOrCreate()", db.Where(Message{DedupKey: key.DedupKey}).Attrs(key).FirstOrCreate(&Message{}).Error)
	upsert("Assign().FirstOrCreate()", db.Where(Message{DedupKey: key.DedupKey}).Assign(Message{Priority: 4}).FirstOrCreate(&Message{}).Error)

	must(db.Delete(&fresh).Error)
	must(db.First(&got, message.ID).Error)
	check("cancel", got.State == "cancelled")
}
