# Rails: a controller, the rest of an application in one file
require 'action_controller/railtie'
require 'active_record'
require 'rack/handler/webrick'

ActiveRecord::Base.establish_connection(adapter: 'postgresql', database: 'postgres', username: 'app', connect_timeout: 2)

class Application < Rails::Application
  config.secret_key_base = 'test'
  config.eager_load = false
  config.hosts.clear
  # else each call is logged with what users wrote
  config.filter_parameters += [:events]
  config.logger = Logger.new($stderr, level: Logger::WARN)
  routes.append { post '/webhook/line', to: 'webhook#call' }
end

class WebhookController < ActionController::API
  def call
    # raw_post: the bytes, before anything has parsed them
    body = ActiveRecord::Type::Binary::Data.new(request.raw_post)
    ActiveRecord::Base.connection.exec_query('SELECT line_notify.receive_webhook($1, $2, $3)', 'webhook', [
      ActiveRecord::Relation::QueryAttribute.new('channel', 'shop', ActiveRecord::Type::Text.new),
      ActiveRecord::Relation::QueryAttribute.new('body', body, ActiveRecord::Type::Binary.new),
      ActiveRecord::Relation::QueryAttribute.new('signature', request.headers['x-line-signature'], ActiveRecord::Type::Text.new)
    ])
    messages = JSON.parse(request.raw_post)['events'].select { |event| event['type'] == 'message' }
    render plain: messages.map { |event| event['message']['text'] }.join     # your bot
  rescue ActiveRecord::StatementInvalid, ActiveRecord::ConnectionNotEstablished => e
    # not from LINE, or: LINE shall deliver it again
    head e.cause.is_a?(PG::InvalidAuthorizationSpecification) ? 401 : 503
  end
end

Application.initialize!
Rack::Handler::WEBrick.run(Application, Host: '127.0.0.1', Port: ENV['BOT_PORT'].to_i, AccessLog: [], Logger: WEBrick::Log.new($stderr, 1))
