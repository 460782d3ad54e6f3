//! One suite of tests for every store.
//!
//! Each test gets a [`Game`] on a store of its own, uses only the ports, and bears the name of the law,
//! the defect (`s`) or the trap (`t`) that it is about. To add one: write it in the file of its subject
//! as `pub(crate) async fn name(game: Game)` and list it in `contract_tests!` below; one that is not
//! listed is dead code, which the compiler reports.

mod achievements;
mod answers;
mod awards;
mod calendar;
mod challenges;
mod concurrency;
mod content;
mod game;
mod histories;
mod labels;
mod languages;
mod model;
mod people;
mod picking;
mod questions;
mod rankings;
mod reading;
mod reports;
mod rules;
mod sessions;
mod snapshot;
mod users;
mod works;

pub use game::{Backend, Game, Histories, OpenStore, run};

/// Hands the list of all tests to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($callback:ident $($backend:expr)?) => {
        $crate::$callback! { $($backend)?;
            users:
                missing_users_are_missing,
                a_user_is_created_once_and_stays,
                s2_l22_concurrent_get_or_create_makes_one_player,
                t9_user_ids_zero_one_and_the_largest_round_trip,
                users_are_listed_in_pages_in_order_of_id,
                a_breakdown_has_sums_and_the_last_ten_answers;
            questions:
                missing_questions_are_missing,
                added_questions_read_back_whole,
                l17_the_same_file_twice_changes_nothing,
                l17_a_retired_question_is_not_added_again,
                l17_contradictions_are_added_and_reported,
                l17_other_options_are_another_question,
                l17_concurrent_adds_keep_one,
                l17_adding_is_all_or_nothing,
                t1_options_that_differ_in_punctuation_or_case_stay_apart,
                t2_html_entities_are_content,
                t3_difficult_texts_are_kept_and_told_apart,
                questions_are_listed_by_filter_in_pages,
                groups_are_counted_in_order,
                l17_an_update_makes_a_new_version,
                l17_an_update_to_what_is_there_changes_nothing,
                l17_an_update_to_another_questions_content_conflicts,
                l17_an_update_frees_the_old_content,
                an_update_moves_the_question_to_another_group,
                l17_a_retired_question_can_be_updated,
                l17_running_sessions_keep_their_version,
                concurrent_updates_get_different_versions,
                retiring_and_restoring_twice_is_once,
                t11_retiring_never_cascades_into_facts,
                s18_answers_are_counted_at_the_question;
            picking:
                l18_picks_are_uniform,
                l18_a_pick_is_repeatable_and_without_repeats,
                l18_a_pick_follows_the_filter,
                l18_excluded_and_retired_questions_are_not_picked,
                l18_every_store_draws_the_same,
                t10_ten_wanted_where_six_exist,
                l18_nothing_is_picked_twice_until_all_are_used_up,
                l18_an_error_when_used_up_remembers_nothing,
                l18_the_oldest_picks_are_reused_first,
                l18_a_reset_forgets_what_matches,
                t10_no_policy_picks_more_than_there_are,
                l18_owners_are_independent,
                l18_concurrent_picks_for_one_channel_are_disjoint,
                l18_scoped_picks_are_repeatable,
                l18_every_store_picks_the_same_without_repeats,
                l18_scoped_picks_are_uniform,
                l18_a_failed_work_forgets_its_picks,
                l18_retired_questions_are_never_picked_again,
                groups_stay_dense_while_questions_come_and_go,
                groups_stay_dense_under_concurrent_changes;
            labels:
                missing_packs_are_missing,
                a_pack_reads_back_whole_and_can_change,
                packs_are_listed_by_name_with_their_sizes,
                labels_are_added_and_stay,
                labels_are_added_all_or_none,
                tags_are_replaced_as_a_whole,
                l17_labels_are_no_part_of_the_content,
                questions_are_listed_by_label,
                l18_a_pick_follows_its_labels,
                l18_picks_by_label_are_uniform,
                l18_labels_and_scopes_go_together,
                l18_every_store_picks_the_same_by_label,
                l2_questions_and_their_labels_come_together,
                concurrent_labels_are_united;
            languages:
                l18_a_game_in_one_language_is_asked_no_other,
                l18_picks_of_a_language_are_uniform,
                l18_every_store_draws_the_same_of_a_language,
                groups_of_languages_stay_dense;
            reports:
                a_report_reads_back_whole,
                a_player_has_one_open_report_of_a_question,
                reports_name_what_is_missing,
                reports_are_listed_by_question_in_pages,
                questions_with_the_most_reports_come_first,
                settling_closes_what_is_open,
                a_player_cannot_flood_the_moderators,
                concurrent_reports_of_one_player_are_one,
                l2_a_failed_work_reports_and_settles_nothing,
                l23_reports_go_with_their_player,
                l23_reports_of_two_are_united;
            sessions:
                missing_sessions_are_missing,
                a_started_session_reads_back_whole,
                a_session_needs_a_host_and_different_known_questions,
                a_retired_question_can_still_be_asked,
                l21_a_channel_has_one_live_session,
                l21_concurrent_starts_leave_one_live_session,
                l21_an_overdue_session_gives_way,
                l21_a_session_is_resumed_with_the_remaining_time,
                l21_every_ended_session_frees_its_channel,
                advancing_opens_the_next_question,
                advancing_is_idempotent_and_never_skips,
                concurrent_advances_open_one_question,
                finishing_twice_is_finishing_once,
                expiring_needs_the_time_to_be_up,
                live_sessions_are_listed_in_pages_in_order_of_their_channels,
                s26_an_answer_does_not_lock_the_channel,
                t9_channel_ids_zero_and_the_largest_work,
                l16_s8_forgetting_sessions_changes_no_statistic,
                l16_only_sessions_that_ended_before_are_forgotten,
                l16_a_forgotten_session_answers_retries_and_nothing_else,
                l16_forgetting_gives_no_second_attempt;
            answers:
                l7_quick_answers_earn_more,
                l7_a_questions_own_value_wins,
                l7_streaks_grow_and_break,
                l7_the_preferred_difficulty_follows,
                l1_concurrent_retries_count_once,
                l1_the_first_answer_is_final,
                l1_concurrent_answers_to_one_question_count_once,
                l1_a_key_belongs_to_one_request,
                l1_a_key_belongs_to_one_player,
                l1_a_late_retry_gets_the_first_receipt,
                l1_an_abandoned_request_counts_once,
                answers_name_what_is_missing,
                answers_to_a_closed_question_are_refused,
                answers_after_the_end_are_refused,
                l8_what_is_not_readable_is_no_answer,
                l8_typed_answers_match_by_one_matcher,
                s24_numeric_options_are_no_positions,
                t4_the_deadline_is_exact_to_the_microsecond,
                t4_a_clock_that_goes_back_harms_nothing,
                s4_eleven_consecutive_days_are_a_streak_of_eleven,
                l10_a_day_streak_ignores_repeats_and_breaks_with_a_gap,
                t5_days_turn_at_midnight_also_on_leap_days;
            challenges:
                l11_a_challenge_is_the_same_for_everybody_and_for_ever,
                l11_concurrent_first_askers_fix_one_set,
                l21_concurrent_challenges_leave_one_live_session,
                l11_a_week_asks_two_easy_two_medium_and_one_hard_question,
                t10_a_challenge_is_not_made_of_too_few_questions,
                s5_a_week_that_began_in_the_month_before_works,
                s6_twelve_restarts_give_one_daily_question,
                l11_a_player_has_one_attempt_that_survives_sessions,
                l11_two_channels_at_once_count_one_answer,
                l11_a_retry_of_a_challenge_answer_gets_its_receipt,
                l11_history_is_kept_newest_first,
                l11_starting_over_gives_no_second_attempt,
                s12_a_weekly_challenge_counts_each_answer_by_itself,
                s12_a_challenge_counts_when_its_last_question_is_answered,
                s13_challenges_are_counted_beyond_one,
                l7_challenges_multiply_and_ignore_time,
                l11_a_refused_start_draws_nothing,
                l2_a_failed_work_draws_no_challenge,
                l11_a_challenge_started_before_midnight_belongs_to_its_day,
                l17_a_challenge_keeps_the_versions_that_it_began_with,
                l11_new_challenges_have_the_language_that_is_set;
            calendar:
                l10_a_time_zone_is_kept,
                l10_days_turn_at_the_players_midnight,
                l10_a_late_fact_changes_no_streak,
                l10_another_zone_rewrites_no_earlier_day,
                l10_a_zone_that_is_set_while_others_answer_is_kept,
                l12_facts_land_in_the_periods_of_the_calendar,
                l13_a_rank_change_goes_by_the_calendar,
                l12_a_calendar_that_comes_later_gives_the_same_boards,
                l12_a_late_fact_lands_in_its_own_period,
                l12_a_period_is_closed_once,
                l12_a_period_is_over_when_the_calendar_says_so,
                l12_only_a_period_that_starts_there_is_closed,
                l2_a_failed_work_closes_nothing,
                l12_challenges_turn_with_the_calendar;
            awards:
                an_award_counts_and_names_what_is_wrong,
                l1_concurrent_retries_of_an_award_count_once,
                l6_points_that_would_overflow_are_refused,
                t8_points_near_the_largest_number_stay_exact,
                l6_a_bonus_that_would_overflow_refuses_the_whole_answer,
                a_reset_clears_the_player_and_keeps_the_facts,
                l1_a_retry_from_before_a_reset_pays_nothing;
            achievements:
                l9_the_built_in_achievements_are_the_18_of_the_original,
                l9_an_achievement_unlocks_at_its_threshold,
                l9_a_bonus_unlocks_others_only_with_the_next_fact,
                s3_eight_concurrent_answers_unlock_once,
                s3_eight_concurrent_grants_pay_once,
                s3_grants_and_answers_together_pay_once,
                grants_name_what_is_missing,
                achievements_are_listed_newest_first,
                progress_goes_up_to_the_target;
            rules:
                l9_definitions_are_stored_and_shown,
                l9_a_definition_that_comes_later_equals_one_from_the_start,
                t15_a_lowered_threshold_pays_nobody_twice,
                t15_a_raised_threshold_takes_nothing_away,
                t15_one_that_comes_back_pays_nobody_twice,
                t15_a_changed_bonus_is_for_those_to_come,
                t15_whoever_has_one_keeps_it_when_the_clock_goes_back,
                l9_a_hidden_one_shows_once_it_is_unlocked,
                l9_a_definition_and_answers_at_once_unlock_once,
                l9_bad_definitions_are_invalid,
                l9_a_retired_one_cannot_be_granted,
                l1_a_retry_of_a_grant_outlives_the_achievement,
                l6_a_definition_whose_bonus_does_not_fit_changes_nothing;
            rankings:
                t6_an_empty_board_is_empty,
                t6_one_player_is_alone_on_the_board,
                t6_all_equal_points_share_the_first_rank,
                l13_ranks_are_1_2_2_4,
                s10_equal_points_are_listed_by_who_was_first_then_by_id,
                l13_page_standing_and_around_agree,
                l13_around_contains_the_player_once_inside_a_tie,
                t7_players_without_points_are_on_no_board,
                t8_boards_hold_the_largest_points,
                l14_pages_join_without_gaps,
                l14_pages_hold_while_others_play,
                l14_a_cursor_belongs_to_one_board,
                t14_a_cursor_of_last_week_stays_in_last_week,
                s7_a_wrong_answer_earns_no_weekly_points,
                s9_a_top_list_is_not_changed_by_other_callers,
                s11_a_reset_player_leaves_every_board,
                s14_monthly_boards_show_monthly_accuracy,
                bonuses_count_on_the_all_time_board_only,
                t5_facts_land_in_their_own_periods,
                weekly_history_is_newest_first,
                l13_a_rank_change_agrees_with_both_standings,
                l13_history_agrees_with_the_pages;
            people:
                l23_an_erased_person_is_missing_everywhere,
                l23_erasing_again_is_harmless,
                l23_only_a_player_can_be_erased,
                l23_erasing_changes_nothing_of_others,
                t7_an_erased_player_leaves_a_board_that_closes_up,
                l21_a_session_outlives_its_host,
                l23_a_private_channel_goes_with_its_person,
                l23_an_erased_id_comes_back_as_a_new_player,
                l23_erasing_while_others_play_loses_nothing,
                l23_an_export_is_whole,
                l23_a_merge_equals_having_played_everything_as_one,
                t7_a_merged_player_has_no_rank,
                l23_whoever_came_back_is_merged_again,
                l23_a_reset_of_one_takes_nothing_from_the_other,
                l23_a_merge_names_what_is_wrong,
                l23_second_answers_of_one_person_do_not_count,
                l23_requests_of_a_merged_player_stay_answered,
                l23_picks_are_united,
                t9_the_smallest_and_the_largest_id_are_merged_and_erased,
                l23_concurrent_merges_happen_once;
            works:
                a_work_returns_its_result_and_sees_its_own_writes,
                l2_a_failed_work_leaves_nothing,
                s23_a_dropped_work_leaves_nothing,
                l2_a_panicking_work_leaves_nothing,
                a_work_is_isolated_until_it_ends,
                a_refused_move_leaves_the_rest_of_a_work,
                a_work_that_is_run_again_counts_once,
                works_and_plain_moves_do_not_lose_each_other,
                l21_works_cannot_share_a_channel;
            reading:
                l15_reading_never_writes;
            concurrency:
                s1_concurrent_awards_all_count,
                l4_many_players_end_as_in_some_order,
                l4_a_players_ledger_is_in_order_of_submission,
                l2_a_reader_never_sees_a_half,
                l2_a_reading_work_sees_one_moment,
                l2_concurrent_counters_lose_nothing;
            histories:
                l4_random_histories_match_a_naive_model;
        }
    };
}

/// Makes the list callable from other crates, and unlisted tests dead code.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_entries {
    (; $($module:ident: $($name:ident),+;)+) => {
        #[doc(hidden)]
        #[allow(missing_docs, reason = "the names say it")]
        pub mod entries {
            $($(
                pub async fn $name(game: super::Game) {
                    super::$module::$name(game).await;
                }
            )+)+
        }
    };
}

/// One `#[tokio::test]` for each entry.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_functions {
    ($backend:expr; $($module:ident: $($name:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $crate::contract::run(stringify!($name), $backend, $crate::contract::entries::$name).await;
            }
        )+)+
    };
}

/// Expands to the whole contract, one test function each, on a [`contract::Backend`](crate::contract::Backend).
#[macro_export]
macro_rules! store_contract_tests {
    ($backend:expr) => {
        $crate::contract_tests! { contract_functions $backend }
    };
}

crate::contract_tests! { contract_entries }
