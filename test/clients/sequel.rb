# Sequel
require 'sequel'
require_relative 'report'

line('version', 'ok', Sequel.version)
DB = Sequel.connect(adapter: 'postgres', database: 'postgres', user: 'app', host: ENV['PGHOST'], port: ENV['PGPORT'])
DB.extension :pg_json

class Order < Sequel::Model(:orders)
end

# a view has no primary key: say which column it is
class Message < Sequel::Model(Sequel[:line_notify][:messages])
  set_primary_key :id
end

order = message = nil
DB.transaction do
  order = Order.create(phone: '090-1234-5678')
  message = Message.create(phone: order.phone, use_case: 'parcel_delivery', template_key: 'shipment_completed_ja',
                           body: Sequel.pg_jsonb(items: [{ itemKey: 'number_001_ja', content: '1234' }]),
                           reference: order.id.to_s, dedup_key: "sequel #{order.id}")
end
check('create', message.id.positive? && message.state == 'queued')

rest = { phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't' }
again = Message.create(dedup_key: "sequel #{order.id}", **rest)
same = Message.find_or_create(dedup_key: "sequel #{order.id}") { |m| m.set(rest) }
check('duplicate', again.id == message.id && same.id == message.id)

messages = DB[Sequel[:line_notify][:messages]]
ids = messages.returning(:id).multi_insert(%w[a b a].map { |k| rest.merge(dedup_key: "sequel #{order.id} #{k}") }).flatten
check('bulk with duplicate', ids[0] == ids[2] && ids.uniq.size == 2, ids.inspect)

message = Message[message.id]
message.update(priority: 5)
message.refresh
check('read back', message.state == 'queued' && message.reference == order.id.to_s && message.phone.nil? && message.priority == 5)

check('introspect', DB.schema(Sequel[:line_notify][:messages]).to_h[:body][:db_type] == 'jsonb' && DB.views(schema: 'line_notify').include?(:messages))

DB.transaction { messages.multi_insert((0...100).map { |i| rest.merge(phone: format('090-1234-%04d', i), batch: 'sequel batch') }) }
check('batch', messages.where(batch: 'sequel batch', state: 'queued').count == 100)

begin
  Message.create(phone: '090-8765-4321', use_case: 'reservatoin', template_key: 't')
rescue Sequel::DatabaseError => e
  error(e)
end
begin
  messages.insert(rest.merge(phone: '090-8765-4321', priority: 'high'))
rescue Sequel::DatabaseError => e
  primary = e.wrapped_exception.result.error_field(PG::PG_DIAG_MESSAGE_PRIMARY)
  typo(e.message + e.inspect, primary, '`e.wrapped_exception.result.error_field(PG::PG_DIAG_MESSAGE_PRIMARY)` instead of `e.message`')
end

row = rest.merge(dedup_key: "sequel #{order.id}")
upsert('insert_conflict') { messages.insert_conflict.returning(:id).insert(row) }
upsert('insert_conflict(target: :dedup_key)') { messages.insert_conflict(target: :dedup_key, update: { priority: 4 }).insert(row) }

message.delete
check('cancel', Message[message.id].state == 'cancelled')
