// Express and @line/bot-sdk: the raw body first to line_notify, then to the bot
const express = require('express');
const line = require('@line/bot-sdk');
const { Pool } = require('pg');

const pool = new Pool({ user: 'app', connectionTimeoutMillis: 2000 });
const app = express();

app.post('/webhook/line', express.raw({ type: '*/*', limit: '4mb' }), async (req, res, next) => {
  try {
    await pool.query('SELECT line_notify.receive_webhook($1, $2, $3)', ['shop', req.body, req.get('x-line-signature')]);
    next();
  } catch (e) {
    // 28000: not from LINE.  Anything else: LINE shall deliver it again.
    res.sendStatus(e.code === '28000' ? 401 : 503);
  }
}, line.middleware({ channelSecret: process.env.LINE_CHANNEL_SECRET }), (req, res) => {
  const messages = req.body.events.filter((event) => event.type === 'message');
  res.send(messages.map((event) => event.message.text).join());   // your bot
});

app.listen(process.env.BOT_PORT, '127.0.0.1');
