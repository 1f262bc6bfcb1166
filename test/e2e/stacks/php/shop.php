<?php
// The shop on php-fpm: MariaDB by TCP through mysqlnd, prepared by the server (mysqli, PDO) and not (query, PDO's own emulation).
const CHANGES = [null, 'rename', 'add', 'drop', 'parameter', 'reorder', 'twice', 'status', null, null];
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
[$port, $changed] = [(int) getenv('SHOP_MYSQL_PORT'), getenv('SHOP_CHANGE') === 'yes'];
$path = explode('/', trim(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH), '/'));
$asked = json_decode(file_get_contents('php://input') ?: 'null', true);

$db = new mysqli('127.0.0.1', 'shop', 'secret-of-shop', 'shop', $port);
$db->set_charset('utf8mb4');

function answer(int $status, array $body): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($body);
    exit;
}

function sign(int $id): string
{
    return "$id." . hash_hmac('sha256', (string) $id, 'key of the shop');
}

function prepared(mysqli $db, string $sql, string $types, mixed ...$values): ?array
{
    $statement = $db->prepare($sql);
    $statement->bind_param($types, ...$values);
    $statement->execute();
    $result = $statement->get_result();
    return $result === false ? null : $result->fetch_all(MYSQLI_ASSOC);
}

if ($path[0] === 'login') {
    $user = prepared($db, 'select id, secret, since from users where name = ?', 's', $asked['name'])[0] ?? null;
    if ($user === null || $user['secret'] !== $asked['secret']) answer(401, ['error' => 'who?']);
    answer(200, ['token' => sign($user['id']), 'since' => $user['since']]);
}

$token = substr($_SERVER['HTTP_AUTHORIZATION'] ?? '', 7);
$id = (int) explode('.', $token)[0];
if (!hash_equals(sign($id), $token)) answer(401, ['error' => 'who?']);
$user = prepared($db, 'select id, name, credit, rate from users where id = ?', 'i', $id)[0];

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $db->begin_transaction();
    prepared($db, 'insert into placed (person, item, quantity) values (?, ?, ?)', 'iii', $id, $asked['item'], $asked['quantity']);
    $placed = $db->insert_id;
    $db->commit();
    answer(201, ['id' => $placed]);
}

$n = (int) $path[1];
$change = $changed ? CHANGES[$n % 10] : null;
$item = fn () => prepared($db, 'select id, name, price, weight from items where id = ?', 'i', $n % 50)[0];
$sold = fn () => $db->query('select count(*) as sold from placed where item = ' . ($n % 50))->fetch_assoc()['sold'];
if ($change === 'reorder') {
    $count = $sold();
    $one = $item();
} else {
    $one = $item();
    $count = $sold();
}
if ($change === 'add') {
    try {
        prepared($db, 'select count(*) as dearer from items where price > ?', 'i', $one['price']);
    } catch (mysqli_sql_exception $e) {
        error_log($e->getMessage());
    }
}
$left = $change === 'drop' ? null : prepared($db, 'select name, price, weight from items where price > ? and weight < ? and name <> ? order by id limit 3', 'ids',
    100 + $n % 50 + ($change === 'parameter' ? 1 : 0), 50.5, "it's $n");
if ($change === 'twice') {
    try {
        $sold();
    } catch (mysqli_sql_exception $e) {
        error_log($e->getMessage());
    }
}
$pdo = [];
foreach ([true, false] as $emulated) {
    $other = new PDO("mysql:host=127.0.0.1;port=$port;dbname=shop;charset=utf8mb4", 'shop', 'secret-of-shop', [PDO::ATTR_EMULATE_PREPARES => $emulated]);
    $statement = $other->prepare('select name, credit, since from users where rate < :rate and id <> :id order by id limit 2');
    $statement->execute(['rate' => 1.5, 'id' => $n % 20]);
    $pdo[] = $statement->fetchAll(PDO::FETCH_ASSOC);
}
answer($change === 'status' ? 203 : 200, ['n' => $n, 'user' => $user, $change === 'rename' ? 'what' : 'item' => $one, 'sold' => $count, 'left' => $left, 'pdo' => $pdo]);
