//! Project Wycheproof's vectors through our loading of keys and our verification.
//!
//! What Wycheproof calls acceptable may go either way: legacy encodings that a strict verifier
//! refuses.

use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify};

use super::VerifyingKey;

/// How many vectors were judged, by what they call for.
#[derive(Debug, Default, PartialEq)]
struct Judged {
    valid: usize,
    invalid: usize,
    acceptable: usize,
}

impl Judged {
    #[track_caller]
    fn judge(
        &mut self,
        name: &str,
        key: &VerifyingKey,
        text: &[u8],
        signature: &[u8],
        expected: TestResult,
    ) {
        let verified = key.verifies(text, signature);
        match expected {
            TestResult::Valid => {
                assert!(verified, "{name} was refused");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!verified, "{name} was accepted");
                self.invalid += 1;
            }
            TestResult::Acceptable => self.acceptable += 1,
        }
    }

    #[track_caller]
    fn assert_at_least(&self, valid: usize, invalid: usize) {
        assert!(self.valid >= valid && self.invalid >= invalid, "{self:?}");
    }
}

macro_rules! judge_all {
    ($module:ident, $set:ident) => {{
        let set = $module::TestSet::load($module::TestName::$set).unwrap();
        let mut judged = Judged::default();
        for group in &set.test_groups {
            let key = VerifyingKey::from_pem(&group.pem).unwrap();
            for test in &group.tests {
                let name = format!("{} {}: {}", stringify!($set), test.tc_id, test.comment);
                judged.judge(&name, &key, &test.msg, &test.sig, test.result);
            }
        }
        judged
    }};
}

#[test]
fn rsa_signatures_are_judged_as_by_wycheproof() {
    for judged in [
        judge_all!(rsa_pkcs1_verify, Rsa2048Sha256),
        judge_all!(rsa_pkcs1_verify, Rsa3072Sha256),
        judge_all!(rsa_pkcs1_verify, Rsa4096Sha256),
        judge_all!(rsa_pkcs1_verify, Rsa8192Sha256),
    ] {
        judged.assert_at_least(1, 100);
    }
}

#[test]
fn p256_signatures_are_judged_as_by_wycheproof() {
    judge_all!(ecdsa, EcdsaSecp256r1Sha256P1363).assert_at_least(50, 50);
}

#[test]
fn ed25519_signatures_are_judged_as_by_wycheproof() {
    judge_all!(eddsa, Ed25519).assert_at_least(50, 50);
}
