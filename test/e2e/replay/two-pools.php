<?php
// A service with two warm pools, one by MariaDB's unix socket and one by TCP: php -S HOST:PORT two-pools.php
// GET /N answers with what each of them says of N. DB_SOCKET, DB_HOST, DB_PORT (environment).
$number = (int) substr($_SERVER['REQUEST_URI'], 1);
mysqli_report(MYSQLI_REPORT_OFF);
$answers = [];
foreach ([['p:localhost', 0, getenv('DB_SOCKET')], ['p:' . getenv('DB_HOST'), (int) getenv('DB_PORT'), null]] as $at => [$host, $port, $socket]) {
  $db = mysqli_init();
  if (!$db->real_connect($host, 'shop', 'secret-of-shop', 'shop', $port, $socket)) {
    $answers[] = $db->connect_error;
    continue;
  }
  $found = $db->query("select concat('pool $at, order ', $number, ', asked at ', count(*)) as said from orders");
  $answers[] = $found === false ? $db->error : $found->fetch_row()[0];
}
header('Content-Type: text/plain');
header_remove('X-Powered-By');
echo implode("\n", $answers);
