# ActiveRecord
require 'active_record'
require 'pg'
require_relative 'report'

line('version', 'ok', ActiveRecord.version)
ActiveRecord::Base.establish_connection(adapter: 'postgresql', database: 'postgres', username: 'app')

class Order < ActiveRecord::Base
end

# a view has no primary key: say which column it is
class Message < ActiveRecord::Base
  self.table_name = 'line_notify.messages'
  self.primary_key = 'id'
end

# for many rows in one statement: insert_all! looks for an index of the primary key
class MessageRow < ActiveRecord::Base
  self.table_name = 'line_notify.messages'
  self.primary_key = nil
end

order = message = nil
ActiveRecord::Base.transaction do
  order = Order.create!(phone: '090-1234-5678')
  message = Message.create!(phone: order.phone, use_case: 'parcel_delivery', template_key: 'shipment_completed_ja',
                            body: { items: [{ itemKey: 'number_001_ja', content: '1234' }] },
                            reference: order.id.to_s, dedup_key: "rails #{order.id}")
end
check('create', message.id.positive? && message.reload.state == 'queued')

again = Message.transaction do
  Message.create!(phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't', dedup_key: "rails #{order.id}")
end
same = Message.create_with(phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't').find_or_create_by!(dedup_key: "rails #{order.id}")
check('duplicate', again.id == message.id && same.id == message.id)

rows = %w[a b a].map { |k| { phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't', dedup_key: "rails #{order.id} #{k}" } }
ids = MessageRow.insert_all!(rows, returning: %w[id]).rows.flatten
check('bulk with duplicate', ids[0] == ids[2] && ids.uniq.size == 2, ids.inspect)

message = Message.find(message.id)
message.update!(priority: 5)
check('read back', message.reload.state == 'queued' && message.reference == order.id.to_s && message.phone.nil? && message.priority == 5)

check('introspect', Message.columns_hash['body'].type == :jsonb && Message.columns.all? { |c| c.null } &&
  ActiveRecord::Base.connection.view_exists?('line_notify.messages'))

MessageRow.insert_all!((0...100).map { |i| { phone: format('090-1234-%04d', i), use_case: 'parcel_delivery', template_key: 't', batch: 'rails batch' } })
check('batch', Message.where(batch: 'rails batch', state: 'queued').count == 100)

begin
  Message.create!(phone: '090-8765-4321', use_case: 'reservatoin', template_key: 't')
rescue ActiveRecord::StatementInvalid => e
  error(e)
end
begin
  ActiveRecord::Base.connection.exec_query("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES ($1, 'high', 'reservation', 't')", 'SQL',
    [ActiveRecord::Relation::QueryAttribute.new('phone', '090-8765-4321', ActiveRecord::Type::String.new)])
rescue ActiveRecord::StatementInvalid => e
  typo(e.message + e.inspect, e.message, '–')
end

row = { phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't', dedup_key: "rails #{order.id}" }
upsert('insert_all()') { MessageRow.insert_all([row], returning: %w[id]).rows == [[message.id]] }
upsert('create_or_find_by!()') { Message.create_with(row.except(:dedup_key)).create_or_find_by!(dedup_key: row[:dedup_key]).id == message.id }
upsert('upsert_all(unique_by: :dedup_key)') { MessageRow.upsert_all([row], unique_by: :dedup_key) }

Message.connection.execute("SELECT expire(#{ids[0]})")
fallback = {}

# outcomes wait: line_notify.notify_outcomes = 'outcomes' in the server
Message.connection.execute('LISTEN outcomes')
# a job: outcomes are gone when this commits, so act inside of the transaction
Message.transaction do
  Message.connection.select_all('SELECT id, state, reference FROM line_notify.take_outcomes(100)').each do |outcome|
    fallback[outcome['id']] = outcome['state']
  end
end

Message.connection.execute('NOTIFY outcomes')
check('job', fallback[ids[0]] == 'expired' && Message.connection.raw_connection.wait_for_notify(10) == 'outcomes', fallback)

# what is written down of the schema after each migration
require 'open3'
schema = StringIO.new
ActiveRecord::SchemaDumper.dump(ActiveRecord.version >= Gem::Version.new('7.2') ? ActiveRecord::Base.connection_pool : ActiveRecord::Base.connection, schema)
check('job', schema.string.include?('enable_extension "line_notify"'), schema.string)
migration('schema.rb', schema.string)
_, words, status = Open3.capture3('pg_dump', '-s', '-U', 'app', 'postgres')
line('migration', !status.success? && words.include?('permission denied') ? 'pg_dump is refused' : 'FAIL', 'structure.sql')
sql, words, status = Open3.capture3('pg_dump', '-s', '-U', 'app', '--exclude-schema=line_notify', 'postgres')
check('job', status.success? && sql.include?('CREATE EXTENSION IF NOT EXISTS line_notify'), words)
migration("structure_dump_flags = ['--exclude-schema=line_notify']", sql[/CREATE TABLE.*/m].gsub(/(GRANT|FUNCTION|Name: ).*/, ''))

message.destroy!
check('cancel', Message.find(message.id).state == 'cancelled')
