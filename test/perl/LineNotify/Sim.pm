=pod

=head1 NAME

LineNotify::Sim - the simulated LINE API in a Perl test

=head1 SYNOPSIS

  use LineNotify::Sim;

  my $sim = LineNotify::Sim->start;
  $sim->set_recipients('+819012345678' => 'unreachable');
  $sim->script({ match => { path => 'send' }, answer => 500, times => 3 });
  # ... let something send to $sim->url with the token $sim->token ...
  $sim->wait_requests(4) or die "too slow";
  is($sim->summary->{messages}{accepted_twice}, 0, 'none sent twice');
  $sim->stop;

=head1 DESCRIPTION

Starts test/mock/line_api.py, whose README.md describes every rule, setting
and answer, and speaks to its control interface.  Every method dies with the
simulator's own words when a request is refused.  The simulator ends with the
object, and with the process, however that ends.

Core modules only.

=cut

package LineNotify::Sim;

use strict;
use warnings;

use Carp;
use File::Basename qw(dirname);
use File::Spec;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);
use POSIX qw(:sys_wait_h);
use Scalar::Util qw(weaken);
use Time::HiRes qw(time);

# What a fresh simulator knows: LINE's published example of a signature.
use constant {
	CHANNEL => '1234567890',
	SECRET => '8c570fa6dd201bb328f1c1eac23a96d8',
	TOKEN => 'line-sim-token',
};

# Seconds after which what was waited for does not come any more; as in
# PostgreSQL's own tests.
use constant LIMIT => $ENV{PG_TEST_TIMEOUT_DEFAULT} || 180;

my @all;						# simulators of this test
my @harvest;					# what they got from line_notify: tag, accepted

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# Options: port, control_port, tls => [cert, key], http2 => 1, dir, log,
# config => file, stderr => file, python, timeout (seconds to be ready).
sub start
{
	my ($class, %opt) = @_;
	my $dir = dirname(File::Spec->rel2abs(__FILE__));
	my @command = (
		$opt{python} // python(),
		$opt{program} // "$dir/../../mock/line_api.py",
		'--while-stdin');

	foreach my $name (qw(port control_port dir log config))
	{
		(my $word = $name) =~ tr/_/-/;
		push @command, "--$word", $opt{$name} if defined $opt{$name};
	}
	push @command, '--tls', @{ $opt{tls} } if $opt{tls};
	push @command, '--http2' if $opt{http2};
	push @command, @{ $opt{arguments} // [] };

	my $self = bless { owner => $$ }, $class;
	$self->_spawn($opt{stderr}, @command);
	$self->_wait_ready($opt{timeout} // LIMIT);
	$self->{judge} = !defined $opt{program};
	$self->{harvested} = 0;
	weaken($all[@all] = $self);
	return $self;
}

# The distribution's own Python, for which python3-h2 is packaged.
sub python
{
	return $ENV{PYTHON}
	  // (-x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3');
}

# The forward proxy of proxy.py, with the same methods (script, requests,
# reset, stop …); options auth => 'user:password', port, log, stderr.
sub start_proxy
{
	my ($class, %opt) = @_;
	my $dir = dirname(File::Spec->rel2abs(__FILE__));
	my $auth = delete $opt{auth};
	return $class->start(
		%opt,
		program => "$dir/../../mock/proxy.py",
		arguments => [ defined $auth ? ('--auth', $auth) : () ]);
}

# The child's stdin is a pipe of which only we hold the other end: when we are
# gone, even by kill -9, it reads the end and stops.
sub _spawn
{
	my ($self, $stderr, @command) = @_;
	pipe(my $in_read, my $in_write) or croak "pipe: $!";
	pipe(my $out_read, my $out_write) or croak "pipe: $!";
	my $pid = fork() // croak "fork: $!";

	if ($pid == 0)
	{
		open(STDIN, '<&', $in_read) or POSIX::_exit(126);
		open(STDOUT, '>&', $out_write) or POSIX::_exit(126);
		if (defined $stderr)
		{
			open(STDERR, '>>', $stderr) or POSIX::_exit(126);
		}
		{ no warnings; exec { $command[0] } @command; }
		POSIX::_exit(127);
	}
	close($in_read);
	close($out_write);
	@{$self}{qw(pid stdin stdout)} = ($pid, $in_write, $out_read);
	return;
}

sub _wait_ready
{
	my ($self, $timeout) = @_;
	my $deadline = time() + $timeout;
	my $line = '';
	my $select = IO::Select->new($self->{stdout});

	until ($line =~ /\n/)
	{
		my $left = $deadline - time();
		if ($left <= 0)
		{
			$self->stop;
			croak "the simulator was not ready in $timeout s";
		}
		next unless $select->can_read($left);
		if (!sysread($self->{stdout}, $line, 4096, length $line))
		{
			$self->stop;
			croak "the simulator did not start";
		}
	}
	$line =~ /^ready (https?)=(\S+?):(\d+)(?: control=\S+?:(\d+))?/
	  or croak "not understood: $line";
	@{$self}{qw(scheme host port control_port)} = ($1, $2, $3, $4);
	return;
}

# Ends the simulator, by its pid.
sub stop
{
	my ($self) = @_;
	$self->_harvest;
	my $pid = delete $self->{pid} // return;
	kill 'TERM', $pid;
	my $deadline = time() + 5;
	while (waitpid($pid, WNOHANG) == 0)
	{
		if (time() > $deadline)
		{
			kill 'KILL', $pid;
			waitpid($pid, 0);
			last;
		}
		select(undef, undef, undef, 0.01);
	}
	return;
}

# Keeps what this simulator got from line_notify, before it forgets.
sub _harvest
{
	my ($self) = @_;
	return unless $self->{judge} && $self->alive;
	my @new = eval { $self->requests(since => $self->{harvested}) };
	$self->{harvested} += @new;
	push @harvest, map { "$_->{tag} " . ($_->{accepted} ? 1 : 0) } grep { ($_->{tag} // '') =~ /^ln1-\d+-\d+-[0-9a-v]{13}$/ } @new;
	return;
}

# How many there were.
sub write_requests
{
	my ($file) = @_;
	$_->_harvest for grep { defined } @all;
	open(my $fh, '>', $file) or croak "$file: $!";
	print $fh map { "$_\n" } @harvest;
	close $fh;
	return scalar @harvest;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $!, $@);
	$self->stop if ($self->{owner} // 0) == $$;
	return;
}

sub pid { return $_[0]->{pid}; }
sub port { return $_[0]->{port}; }
sub control_port { return $_[0]->{control_port}; }
sub token { return TOKEN; }

# http://127.0.0.1:PORT, what create_channel takes as api_base
sub url
{
	my ($self, $path) = @_;
	return "$self->{scheme}://$self->{host}:$self->{port}" . ($path // '');
}

sub alive
{
	my ($self) = @_;
	return defined $self->{pid} && waitpid($self->{pid}, WNOHANG) == 0;
}

# ---- control interface ---------------------------------------------------

# One request to /_sim/$path; $data goes as JSON.  Returns the decoded answer.
sub control
{
	my ($self, $method, $path, $data, $timeout) = @_;
	my ($status, $answer) =
	  $self->control_raw($method, $path,
		defined $data ? $json->encode($data) : '', $timeout);
	my $result = eval { $json->decode($answer) };
	if ($status != 200)
	{
		my $words = ref $result ? $result->{error} // $answer : $answer;
		croak "$method /_sim/$path: $status $words";
	}
	return $result;
}

# The same with a ready body; returns status and body as they are.
sub control_raw
{
	my ($self, $method, $path, $body, $timeout) = @_;
	my $deadline = time() + ($timeout // LIMIT);
	my $socket = IO::Socket::INET->new(
		PeerAddr => $self->{host},
		PeerPort => $self->{control_port},
		Timeout => LIMIT) or croak "control interface: $@";
	print $socket "$method /_sim/$path HTTP/1.1\r\nHost: control\r\n"
	  . 'Content-Length: '
	  . length($body)
	  . "\r\nConnection: close\r\n\r\n$body";
	$socket->flush;
	my $answer = '';
	my $select = IO::Select->new($socket);
	while (1)
	{
		my $left = $deadline - time();
		croak "control interface: no answer to $method $path" if $left <= 0;
		# a child that stops or goes on interrupts it
		next unless $select->can_read($left);
		last unless sysread($socket, $answer, 65536, length $answer);
	}
	my ($status, $content) = $answer =~ m{^HTTP/1\.1 (\d+).*?\r\n\r\n(.*)}s
	  or croak "control interface: not understood: $answer";
	return ($status, $content);
}

# Adds rules (hash references); returns their names.
sub script
{
	my ($self, @rules) = @_;
	return @{ $self->control('POST', 'script', \@rules)->{added} };
}

# These rules and no others.
sub script_only
{
	my ($self, @rules) = @_;
	return @{ $self->control('PUT', 'script', \@rules)->{added} };
}

# Removes all rules, or that one.
sub clear_script
{
	my ($self, $name) = @_;
	return $self->control('DELETE',
		'script' . (defined $name ? '?name=' . escaped($name) : ''))
	  ->{removed};
}

# The rules with how often each was used.
sub rules { return @{ $_[0]->control('GET', 'script')->{rules} }; }

# Complete requests as hash references.  Options: since => n, headers => 1,
# body => 1, path => 'send' | exact path.
sub requests
{
	my ($self, %opt) = @_;
	my $more = join '', map { "&$_" } grep { $opt{$_} } qw(headers body);
	my $since = $opt{since} // 0;
	my @all;
	while (1)
	{
		my $page = $self->control('GET', "requests?since=$since$more");
		push @all, @{ $page->{requests} };
		$since += @{ $page->{requests} };
		last if !@{ $page->{requests} } || $since >= $page->{total};
	}
	return @all unless defined $opt{path};
	return grep { $_->{path} =~ m{/push$} } @all if $opt{path} eq 'send';
	return grep { $_->{path} eq $opt{path} } @all;
}

# How many complete requests there are, once there are at least $n, or 0 if
# they did not come in time.
sub wait_requests
{
	my ($self, $n, $timeout) = @_;
	$timeout //= LIMIT;
	my $page = $self->control('GET',
		"requests?wait=$n&timeout=$timeout&max=0", undef, $timeout + LIMIT);
	return $page->{total} >= $n ? $page->{total} || '0E0' : 0;
}

# Calls $check->() until it is true or the time is over, and returns its value.
sub wait_until
{
	my ($self, $check, $timeout) = @_;
	my $deadline = time() + ($timeout // LIMIT);
	while (1)
	{
		my $value = $check->();
		return $value if $value || time() > $deadline;
		select(undef, undef, undef, 0.02);
	}
}

# Without the questions for LINE's own counts: no test knows whether one comes,
# since a worker asks for those of a day when it is over.
sub summary
{
	my ($self, $since) = @_;
	my $summary = $self->control('GET', 'summary?since=' . ($since // 0));
	$summary->{requests} -= $summary->{by_path}{$_}{count}
	  for grep { m{^GET /v2/bot/message/delivery/pnp} } keys %{ $summary->{by_path} };
	return $summary;
}

# Requests that never became complete.
sub incomplete
{
	return @{ $_[0]->control('GET', 'incomplete')->{incomplete} };
}

# ---- webhooks ------------------------------------------------------------

# Takes what is due: a list of [body bytes, signature].
sub webhooks
{
	my ($self, %opt) = @_;
	my $path = 'webhooks?max=' . ($opt{max} // 1000);
	$path .= "&channel=$opt{channel}" if defined $opt{channel};
	return map { [ decode_base64($_->{body_base64}), $_->{signature} ] }
	  @{ $self->control('GET', $path)->{webhooks} };
}

# Waits until $n events are due; returns how many are, or 0.
sub wait_webhooks
{
	my ($self, $n, $timeout) = @_;
	return $self->wait_until(
		sub {
			my $due = $self->control('GET', 'webhooks?max=0')->{due};
			return $due >= $n ? $due : 0;
		},
		$timeout);
}

# A signed [body, signature] with these events; option channel.
sub emit
{
	my ($self, $events, %opt) = @_;
	my $item =
	  $self->control('POST', 'webhooks/emit', { %opt, events => $events });
	return [ decode_base64($item->{body_base64}), $item->{signature} ];
}

# Everything that was fetched comes again; options channel, last => n.
sub redeliver
{
	my ($self, %opt) = @_;
	return $self->control('POST', 'webhooks/redeliver', \%opt)->{redelivered};
}

# What became of the POSTs of mode "post".
sub webhook_posts
{
	return @{ $_[0]->control('GET', 'webhooks/posts')->{posts} };
}

# Signature of any bytes; options channel, secret.
sub sign
{
	my ($self, $body, %opt) = @_;
	return $self->control('POST', 'sign',
		{ %opt, body_base64 => encode_base64($body, '') })->{signature};
}

# ---- setting up ----------------------------------------------------------

# Hash (or +phone) => state, default => state, shares => { state => share }
sub set_recipients
{
	my ($self, %who) = @_;
	return $self->control('POST', 'recipients', \%who);
}

# Changes settings; returns all of them.
sub config
{
	my ($self, %change) = @_;
	return $self->control(%change ? 'POST' : 'GET',
		'config', %change ? \%change : undef);
}

# Adds or replaces a channel: id, secret, token, keys => [{kid, jwk | pem}], …
sub channel
{
	my ($self, %channel) = @_;
	return $self->control('POST', 'channels', \%channel)->{channels}[0];
}

# Issues a token without the endpoints; channel, kind, seconds, token.
sub issue_token
{
	my ($self, %opt) = @_;
	return $self->control('POST', 'tokens', \%opt)->{token};
}

# Ends issued tokens; options channel, kind.  Returns how many.
sub expire_tokens
{
	my ($self, %opt) = @_;
	return $self->control('POST', 'tokens/expire', \%opt)->{expired};
}

# LINE's count of a day: date => yyyymmdd, kind => 'templated' | 'flexible',
# status, success, channel
sub set_counts
{
	my ($self, %opt) = @_;
	return $self->control('POST', 'counts', \%opt);
}

# What people did with the messages of a unit on a day, in addition to what was
# sent: unit, date => yyyymmdd, opened, clicked, channel; urls => how many
# addresses LINE's answers list
sub set_engagement
{
	my ($self, %opt) = @_;
	return $self->control('POST', 'engagement', \%opt);
}

# ---- sockets -------------------------------------------------------------

# 'on', 'off' (connecting is refused), 'deaf' (connects, never accepted);
# option for => seconds
sub listen
{
	my ($self, $state, %opt) = @_;
	return $self->control('POST', 'listen', { state => $state, %opt });
}

# Ends open connections by 'close', 'reset' or 'goaway'; option idle => 1
sub end_connections
{
	my ($self, $how, %opt) = @_;
	return $self->control('POST', 'connections', { do => $how, %opt })
	  ->{connections};
}

# Other certificate or versions: cert, key, minimum, maximum
sub tls
{
	my ($self, %opt) = @_;
	return $self->control('POST', 'tls', \%opt);
}

# Forgets requests, rules, recipients, webhooks and changed settings.
sub reset
{
	my ($self) = @_;
	$self->_harvest;
	$self->{harvested} = 0;
	return $self->control('POST', 'reset');
}

sub escaped
{
	my ($text) = @_;
	$text =~ s/([^A-Za-z0-9_.-])/sprintf '%%%02X', ord $1/ge;
	return $text;
}

1;
