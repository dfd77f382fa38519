# Rails: what a controller does with request.raw_post; here by Rack and WEBrick
require 'json'
require 'pg'
require 'rack'
require 'rackup' if Rack.release >= '3'

bot = lambda do |env|
  request = Rack::Request.new(env)
  body = request.body.read
  begin
    db = PG.connect(dbname: 'postgres', user: 'app', connect_timeout: 2)
    # 17 is bytea, 1 its binary form: the bytes as they are
    db.exec_params('SELECT line_notify.receive_webhook($1, $2, $3)',
                   ['shop', { value: body, type: 17, format: 1 }, env['HTTP_X_LINE_SIGNATURE']])
  rescue PG::InvalidAuthorizationSpecification     # 28000: not from LINE
    next [401, {}, []]
  rescue PG::Error                                 # LINE shall deliver it again
    next [503, {}, []]
  ensure
    db&.close
  end
  messages = JSON.parse(body)['events'].select { |event| event['type'] == 'message' }
  [200, { 'Content-Type' => 'text/plain; charset=utf-8' }, messages.map { |event| event['message']['text'] }]     # your bot
end

(Rack.release >= '3' ? Rackup : Rack)::Handler::WEBrick.run(bot, Host: '127.0.0.1', Port: ENV['BOT_PORT'].to_i, AccessLog: [], Logger: WEBrick::Log.new($stderr, 1))
