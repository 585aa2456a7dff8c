/** Names that this Slack knows as emoji; Slack refuses any other with `invalid_name` (A:reactions.add). */
export const EMOJI: ReadonlySet<string> = new Set(
  [
    '+1 -1 thumbsup thumbsdown ok_hand clap wave raised_hands pray muscle point_up point_right point_left point_down',
    'eyes heart broken_heart fire sparkles star star2 tada rocket bulb boom zap warning no_entry no_entry_sign x',
    'heavy_check_mark white_check_mark ballot_box_with_check question grey_question exclamation bangbang',
    'information_source hourglass hourglass_flowing_sand stopwatch alarm_clock clock1 clock9 calendar date',
    'mag mag_right memo pencil2 clipboard pushpin round_pushpin paperclip link lock unlock key bell no_bell',
    'hammer wrench gear hammer_and_wrench nut_and_bolt package card_index_dividers file_folder chart_with_upwards_trend',
    'chart_with_downwards_trend bar_chart robot_face ghost skull bug beetle snail turtle cat dog see_no_evil',
    'smile smiley grin joy sweat_smile slightly_smiling_face thinking_face neutral_face confused disappointed cry sob',
    'rage face_with_rolling_eyes sunglasses partying_face upside_down_face shrug facepalm man-shrugging woman-shrugging',
    'red_circle large_blue_circle large_green_circle large_yellow_circle white_circle black_circle large_orange_circle',
    'arrow_right arrow_left arrow_up arrow_down arrows_counterclockwise repeat fast_forward',
    'black_square_for_stop double_vertical_bar speech_balloon thought_balloon 100 one two three four five zero',
    'coffee beer beers cake pizza mega loudspeaker email incoming_envelope ship construction octagonal_sign',
  ]
    .join(' ')
    .split(' '),
);
