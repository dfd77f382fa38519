def line(check, result, detail = '')
  puts [check, result, detail.to_s.split.join(' ')].join("\t")
end

def check(name, good, detail = '')
  line(name, good ? 'ok' : 'FAIL', detail)
end

def error(e)
  check('error', e.message.include?('unknown use case') && e.message.include?('reservation'), e.message)
  line('number shown', e.message.delete('^0-9').include?('87654321') ? 'yes' : 'no')
end

# another column is wrong: does what a logger prints show the number?  What to print instead?
def typo(plain, hidden, how)
  [['typo', plain, ''], ['typo hidden', hidden, how]].each do |check, words, detail|
    line(check, words.delete('^0-9').include?('87654321') ? 'shows' : 'does not show', detail)
  end
end

# what comes of a library's call that would insert or update
def upsert(call)
  line('upsert', yield ? 'ok' : 'FAIL', call)
rescue StandardError => e
  pg = e.is_a?(PG::Error) ? e : e.cause || e.respond_to?(:wrapped_exception) && e.wrapped_exception
  line('upsert', pg.is_a?(PG::Error) ? pg.result.error_field(PG::PG_DIAG_SQLSTATE) : e.class, call)
end

# what a tool wants that writes down the schema it finds
def migration(tool, text)
  line('migration', text =~ /line_notify\.|create_table "(outbox|history)/ ? 'writes it down' : 'leaves it alone', tool)
end
