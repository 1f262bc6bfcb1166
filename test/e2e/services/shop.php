<?php
// The service under test: php-fpm with MariaDB by its unix socket. Every call carries the request's id.
$rid = preg_replace('/[^a-z0-9-]/', '', $_GET['rid']);
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$db = new mysqli('localhost', 'shop', 'secret-of-shop', 'shop', 0, $_SERVER['SHOP_SOCKET']);

$echoed = $db->query("select sleep(0.002), '$rid' as rid")->fetch_assoc()['rid'];
$rows = (int) ($_GET['rows'] ?? 1);
$prices = [];
for ($n = 0; $n < $rows; $n++) {
    $price = crc32("$rid/$n") % 10000;
    $db->query("insert into orders (rid, price) values ('$rid', $price)");
    $prices[] = $price;
}
$statement = $db->prepare("select count(*) as orders, ? as rid from orders where rid = '$rid'");
$statement->bind_param('s', $rid);
$statement->execute();
$count = $statement->get_result()->fetch_assoc();

header('Content-Type: application/json');
header("X-Rid: $rid");
echo json_encode(['rid' => $rid, 'echoed' => $echoed, 'prices' => $prices, 'count' => $count,
    'pad' => str_repeat('x', (int) ($_GET['pad'] ?? 0))]);

if (isset($_GET['after'])) {
    fastcgi_finish_request();
    usleep(1000);
    $db->query("insert into audit (rid) values ('$rid')");
}
