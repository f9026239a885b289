//! The table of all rules: for each contract, the number of its sentence and the name of the rule.

/// Hands the rules of a suite to another macro, so that they are listed once.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_rules {
    (replay_guard $then:ident $with:tt) => {
        $crate::$then! { replay_guard $with
            1 a_nonce_is_claimed_once
            1 of_many_claims_at_once_one_wins
            1 what_one_handle_claimed_another_knows
            1 equal_nonces_of_two_apps_do_not_collide
            1 an_ids_end_is_not_taken_for_a_nonces_beginning
            1 another_datetime_makes_no_other_nonce
            2 a_nonce_from_the_future_is_kept_until_it_is_stale
            2 an_entry_lives_through_its_last_instant
            3 a_flood_evicts_nothing
            4 a_clock_stepping_back_reopens_nothing
            4 far_off_times_neither_panic_nor_reopen
            5 a_dropped_claim_happened_or_not
            6 a_small_step_back_refuses_nobody
            6 a_clock_that_leaps_ahead_and_back_costs_a_window
            7 every_live_entry_is_counted_once
        }
    };
    (registration_store $then:ident $with:tt) => {
        $crate::$then! { registration_store $with
            1 an_unknown_user_is_none_and_stays_so
            1 every_field_comes_back
            1 extreme_values_come_back
            1 users_are_told_apart_byte_for_byte
            1 what_one_handle_wrote_another_reads
            1 a_load_sees_no_half_of_a_swap
            2 a_swap_under_another_version_changes_nothing
            2 of_many_swaps_at_once_one_wins
            2 swaps_at_once_lose_no_change
            2 a_thousand_resends_at_once_give_one_code_one_mail_and_equal_answers
            4 a_dropped_swap_happened_or_not
        }
    };
    (outbox $then:ident $with:tt) => {
        $crate::$then! { outbox $with
            1 mails_are_leased_oldest_first_up_to_the_limit_and_not_before_they_are_due
            1 a_mail_is_due_again_when_its_lease_ends
            1 what_is_not_owed_is_not_due
            2 a_lease_is_swapped_in_with_the_next_version_as_its_token
            2 of_leases_at_once_no_user_is_in_two
            2 a_lease_and_a_swap_at_once_have_one_winner
            2 a_dropped_lease_loses_no_mail
            3 the_backlog_is_all_that_is_owed_and_as_old_as_its_oldest_code
        }
    };
    (app_registry $then:ident $with:tt) => {
        $crate::$then! { app_registry $with
            1 every_application_is_found_as_it_is
            1 ids_are_compared_byte_for_byte
            2 questions_at_once_have_the_same_answers
            2 made_up_ids_drive_out_no_application
            2 a_dropped_question_changes_nothing
            3 whatever_a_stranger_asks_for_is_unknown
        }
    };
    (mailer $then:ident $with:tt) => {
        $crate::$then! { mailer $with
            1 what_was_accepted_is_delivered_with_its_code
            1 a_hostile_address_reaches_nobody_else
            2 a_failure_says_whether_another_try_may_succeed
            2 a_reason_names_neither_user_nor_code
            3 tries_at_one_mail_share_their_message_id
            4 a_dropped_send_sends_nothing_more
        }
    };
}

/// One `#[tokio::test]` for each rule of a suite: `conformance_tests!(replay_guard, harness)`.
///
/// The suites are `replay_guard`, `registration_store`, `outbox`, `app_registry` and `mailer`;
/// `harness` is an expression, made anew for each test. The tests are named by their rules, so that
/// two uses of one suite belong into two modules. They run on four threads: tokio's features
/// `macros` and `rt-multi-thread` have to be on.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// mod sqlite {
///     use tower_registration::{backend::sqlite::SqliteBackend, conformance::Subject};
///
///     tower_registration::conformance_tests!(replay_guard, || async {
///         let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
///         Subject::new(backend.replay_guard())
///     });
/// }
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($suite:ident, $harness:expr) => {
        $crate::__conformance_rules! { $suite __conformance_each [$harness] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_each {
    ($suite:ident [$harness:expr] $($sentence:literal $rule:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $rule() {
            let kept = $crate::conformance::$suite::$rule(&$harness).await;
            if let Err(breach) = kept {
                panic!("{}", breach.of(stringify!($suite), $sentence, stringify!($rule)));
            }
        })*
    };
}

/// The body of a suite's `all`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_all {
    ($suite:ident [$harness:expr] $($sentence:literal $rule:ident)*) => {{
        let mut breaches = Vec::new();
        $(if let Err(breach) = $rule($harness).await {
            breaches.push(breach.of(stringify!($suite), $sentence, stringify!($rule)));
        })*
        $crate::conformance::Breaches::none_of(breaches)
    }};
}
