"""Class names of well-known data sets."""

from __future__ import annotations

_NAMES = {
    "coco": """
        person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign
        parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie
        suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard
        tennis_racket bottle wine_glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot
        hot_dog pizza donut cake chair couch potted_plant bed dining_table toilet tv laptop mouse remote keyboard
        cell_phone microwave oven toaster sink refrigerator book clock vase scissors teddy_bear hair_drier
        toothbrush
    """,
    "voc": """
        aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant
        sheep sofa train tvmonitor
    """,
    "cityscapes": """
        person rider car truck bus train motorcycle bicycle
    """,
    "wider_face": """
        face
    """,
    "imagenet_vid": """
        airplane antelope bear bicycle bird bus car cattle dog domestic_cat elephant fox giant_panda hamster horse
        lion lizard monkey motorcycle rabbit red_panda sheep snake squirrel tiger train turtle watercraft whale
        zebra
    """,
    "imagenet_det": """
        accordion airplane ant antelope apple armadillo artichoke axe baby_bed backpack bagel balance_beam banana
        band_aid banjo baseball basketball bathing_cap beaker bear bee bell_pepper bench bicycle binder bird
        bookshelf bow_tie bow bowl brassiere burrito bus butterfly camel can_opener car cart cattle cello centipede
        chain_saw chair chime cocktail_shaker coffee_maker computer_keyboard computer_mouse corkscrew cream
        croquet_ball crutch cucumber cup_or_mug diaper digital_clock dishwasher dog domestic_cat dragonfly drum
        dumbbell electric_fan elephant face_powder fig filing_cabinet flower_pot flute fox french_horn frog
        frying_pan giant_panda goldfish golf_ball golfcart guacamole guitar hair_dryer hair_spray hamburger hammer
        hamster harmonica harp hat_with_a_wide_brim head_cabbage helmet hippopotamus horizontal_bar horse hotdog
        iPod isopod jellyfish koala_bear ladle ladybug lamp laptop lemon lion lipstick lizard lobster maillot maraca
        microphone microwave milk_can miniskirt monkey motorcycle mushroom nail neck_brace oboe orange otter
        pencil_box pencil_sharpener perfume person piano pineapple ping-pong_ball pitcher pizza plastic_bag
        plate_rack pomegranate popsicle porcupine power_drill pretzel printer puck punching_bag purse rabbit racket
        ray red_panda refrigerator remote_control rubber_eraser rugby_ball ruler salt_or_pepper_shaker saxophone
        scorpion screwdriver seal sheep ski skunk snail snake snowmobile snowplow soap_dispenser soccer_ball sofa
        spatula squirrel starfish stethoscope stove strainer strawberry stretcher sunglasses swimming_trunks swine
        syringe table tape_player tennis_ball tick tie tiger toaster traffic_light train trombone trumpet turtle
        tv_or_monitor unicycle vacuum violin volleyball waffle_iron washer water_bottle watercraft whale wine_bottle
        zebra
    """,
}
_ALIASES = {
    "coco": ("mscoco", "ms_coco"),
    "voc": ("pascal_voc", "voc07", "voc12"),
    "wider_face": ("WIDERFaceDataset", "WIDERFace"),
    "imagenet_vid": ("vid", "ilsvrc_vid"),
    "imagenet_det": ("det", "ilsvrc_det"),
}


def get_classes(dataset: str) -> list[str]:
    """Class names of a data set, words joined by underscores.

    Args:
        dataset: "coco", "voc", "cityscapes", "wider_face", "imagenet_det", "imagenet_vid" or a usual other name.

    Raises:
        TypeError: `dataset` is no string.
        ValueError: there is no such data set.
    """
    if not isinstance(dataset, str):
        raise TypeError(f"dataset must be a name, got {type(dataset).__name__}")
    for name, names in _NAMES.items():
        if dataset == name or dataset in _ALIASES.get(name, ()):
            return names.split()
    raise ValueError(f"unknown data set {dataset!r}; class names are known of {', '.join(_NAMES)}")
