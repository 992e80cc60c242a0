//! The suite over RSA under a certificate chain, and what a chain must be.

use crate::kits::{FIVE_MINUTES, Plain, moment, order, proven};
use integrations_core::webhook::{
    Encoding, Key, KeyRing, Kit, Place, RsaCertificate, RsaHash, Scheme, Signed, Stamp, Token, Trust, Unit,
    WebhookError,
};
use integrations_testkit::webhook::{Case, Delivery, Order, Signer, sign};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_RSA_SHA256, SigningKey as _,
};

/// PayPal's, over the body's checksum.
const PAYPAL: RsaCertificate = RsaCertificate::new(
    Scheme::new(
        Place::Header("paypal-transmission-sig"),
        &[
            Token::Id,
            Token::Text("|"),
            Token::Timestamp,
            Token::Text("|"),
            Token::Param("webhook_id"),
            Token::Text("|"),
            Token::BodyCrc32,
        ],
    )
    .encoding(Encoding::Base64)
    .id(Place::Header("paypal-transmission-id"))
    .stamp(Stamp::new(Place::Header("paypal-transmission-time"), Unit::Rfc3339)),
    Place::Header("paypal-cert-url"),
    &["api.paypal.com", "api.sandbox.paypal.com"],
    (Place::Header("paypal-auth-algo"), &[("SHA256withRSA", RsaHash::Sha256)]),
);

/// The vendor's two certificates, at two addresses, and a stranger's, which claims the address of the first.
struct World {
    anchor: String,
    leaves: [(String, KeyPair); 3],
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, KeyPair) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key)
}

fn world() -> World {
    let (vendor, stranger) = (issuer(), issuer());
    let leaves = [&vendor, &vendor, &stranger].map(|issuer| leaf(issuer, "api.paypal.com"));
    World { anchor: vendor.pem(), leaves }
}

fn address(signer: Signer) -> &'static str {
    match signer {
        Signer::Former => "https://api.paypal.com/v1/certs/old",
        _ => "https://api.paypal.com/v1/certs/new",
    }
}

fn deliver(world: &World, order: &Order<'_>) -> Delivery {
    let message = format!("tr-1|{}|WH-1|{}", order.at, sign::crc32(order.body));
    let signature = world.leaves[order.signer as usize].1.sign(message.as_bytes()).unwrap();
    Delivery::post(order.body)
        .header("paypal-transmission-id", "tr-1")
        .header("paypal-transmission-time", &order.at.to_string())
        .header("paypal-cert-url", address(order.signer))
        .header("paypal-auth-algo", "SHA256withRSA")
        .header("paypal-transmission-sig", &sign::base64(&signature))
}

#[test]
fn rsa_under_a_certificate_as_paypal_does() {
    let world = world();
    let key = |signer: Signer| Key::certificate(address(signer), &world.leaves[signer as usize].0).unwrap();
    let ring = KeyRing::new(Key::anchor("root", &world.anchor).unwrap()).with_param("webhook_id", "WH-1");
    let webhook = Plain(PAYPAL);
    let case = Case::new(&webhook, key, |order| deliver(&world, order)).configured(ring.clone());
    let case = case.signature("paypal-transmission-sig").signed_header("paypal-transmission-id");
    let case = case.signed_header("paypal-transmission-time").signed_header("paypal-cert-url");
    let case = case.signed_header("paypal-auth-algo");
    proven(&case.tolerance(FIVE_MINUTES));

    let delivery = deliver(&world, &order(b"{}"));
    let receive = |ring: &KeyRing| PAYPAL.verify(&delivery.incoming(moment()), ring).map(|v| v.trust());
    let unknown = WebhookError::UnknownKey { key: address(Signer::Present).into() };
    assert_eq!(receive(&ring), Err(unknown), "the certificate is fetched by its address");
    let fetched = ring.clone().with(key(Signer::Present));
    assert_eq!(receive(&fetched), Ok(Trust::Authenticated), "a CRC-32 does not bind the body");
    // The stranger's certificate, though it stands at the right address, leads to no anchor.
    let theirs = deliver(&world, &Order::new(b"{}", moment(), Signer::Stranger));
    let ring = ring.with(key(Signer::Stranger));
    assert_eq!(PAYPAL.verify(&theirs.incoming(moment()), &ring).unwrap_err(), WebhookError::NoMatch);
}

#[test]
fn a_certificate_is_for_its_host_and_its_time() {
    let vendor = issuer();
    let (pem, key) = leaf(&vendor, "evil.example.com");
    let world =
        World { anchor: vendor.pem(), leaves: [(pem.clone(), key), leaf(&vendor, "x"), leaf(&vendor, "x")] };
    let ring = KeyRing::new(Key::anchor("root", &world.anchor).unwrap())
        .with_param("webhook_id", "WH-1")
        .with(Key::certificate(address(Signer::Present), &pem).unwrap());
    let delivery = deliver(&world, &order(b"{}"));
    let refused = PAYPAL.verify(&delivery.incoming(moment()), &ring);
    assert_eq!(refused.unwrap_err(), WebhookError::NoMatch, "another name");
    let named = PAYPAL.subject("evil.example.com");
    assert!(named.verify(&delivery.incoming(moment()), &ring).is_ok());
    let late: jiff::Timestamp = "4100-01-01T00:00:00Z".parse().unwrap();
    let delivery = deliver(&world, &Order::new(b"{}", late, Signer::Present));
    assert_eq!(named.verify(&delivery.incoming(late), &ring).unwrap_err(), WebhookError::NoMatch, "expired");
}

#[test]
fn only_the_vendors_hosts_are_looked_up() {
    let world = world();
    let ring = KeyRing::new(Key::anchor("root", &world.anchor).unwrap()).with_param("webhook_id", "WH-1");
    for address in [
        "http://api.paypal.com/c",
        "https://api.paypal.com.evil.example/c",
        "https://api.paypal.com:444/c",
        "https://x@api.paypal.com/c",
        "https://api.paypal.com@evil.example/c",
        "https://evil.example/api.paypal.com",
        "https://api.paypal.com/c?x=1",
        "//api.paypal.com/c",
        "",
    ] {
        let mut delivery = deliver(&world, &order(b"{}"));
        delivery.headers.insert("paypal-cert-url", address.parse().unwrap());
        let refused = PAYPAL.verify(&delivery.incoming(moment()), &ring).unwrap_err();
        assert_eq!(refused, WebhookError::Malformed("paypal-cert-url"), "{address}");
    }
}

const NOTIFICATION: &[Token] = &[
    Token::JsonLine("Message"),
    Token::JsonLine("MessageId"),
    Token::JsonLine("Subject"),
    Token::JsonLine("Timestamp"),
    Token::JsonLine("TopicArn"),
    Token::JsonLine("Type"),
];
const CONFIRMATION: &[Token] = &[
    Token::JsonLine("Message"),
    Token::JsonLine("MessageId"),
    Token::JsonLine("SubscribeURL"),
    Token::JsonLine("Timestamp"),
    Token::JsonLine("Token"),
    Token::JsonLine("TopicArn"),
    Token::JsonLine("Type"),
];
/// Both in one constant: the text depends on the type.
const SNS: RsaCertificate = RsaCertificate::new(
    Scheme::new(Place::Json("/Signature"), &[])
        .encoding(Encoding::Base64)
        .signed(Signed::By(
            Place::Json("/Type"),
            &[("Notification", NOTIFICATION), ("SubscriptionConfirmation", CONFIRMATION)],
        ))
        .id(Place::Json("/MessageId"))
        .covers_all_that_is_read(),
    Place::Json("/SigningCertURL"),
    &["sns.*.amazonaws.com", "sns.*.amazonaws.com.cn"],
    (Place::Json("/SignatureVersion"), &[("1", RsaHash::Sha1), ("2", RsaHash::Sha256)]),
)
.suffix(".pem");

#[test]
fn fields_under_a_certificate_as_sns_does() {
    const ADDRESS: &str = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem";
    let vendor = issuer();
    let (pem, key) = leaf(&vendor, "sns.eu-west-1.amazonaws.com");
    let ring = KeyRing::new(Key::anchor("root", &vendor.pem()).unwrap())
        .with(Key::certificate(ADDRESS, &pem).unwrap());
    let text = "Message\nhello\nMessageId\nm1\nTimestamp\n2026-11-20T00:00:00.000Z\n\
        TopicArn\narn:t\nType\nNotification\n";
    let signature = sign::base64(&key.sign(text.as_bytes()).unwrap());
    let fields = [
        ("Type", "Notification"),
        ("MessageId", "m1"),
        ("TopicArn", "arn:t"),
        ("Message", "hello"),
        ("Timestamp", "2026-11-20T00:00:00.000Z"),
        ("SignatureVersion", "2"),
        ("Signature", &signature),
        ("SigningCertURL", ADDRESS),
    ];
    let verify = |changes: &[(&str, &str)]| {
        let mut json: serde_json::Map<_, _> =
            fields.iter().chain(changes).map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
        json.retain(|_, value: &mut serde_json::Value| value != "absent");
        let delivery = Delivery::post(serde_json::to_vec(&json).unwrap());
        SNS.verify(&delivery.incoming(moment()), &ring).map(|v| v.id().map(str::to_owned))
    };
    assert_eq!(verify(&[]), Ok(Some("m1".to_owned())));
    for (name, value) in [
        ("Message", "hullo"),
        ("MessageId", "m2"),
        ("TopicArn", "arn:u"),
        ("Subject", "added"),
        ("Timestamp", "absent"),
        ("Type", "SubscriptionConfirmation"),
        ("Type", "Other"),
        ("SignatureVersion", "1"),
        ("SignatureVersion", "3"),
        ("SigningCertURL", "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem"),
        ("SigningCertURL", "https://sns.eu-west-1.amazonaws.com/a.txt"),
    ] {
        assert!(verify(&[(name, value)]).is_err(), "{name}: {value}");
    }
}
